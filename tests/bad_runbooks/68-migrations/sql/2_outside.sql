-- no-transaction
vacuum;
begin; -- WRONG
commit; -- WRONG
