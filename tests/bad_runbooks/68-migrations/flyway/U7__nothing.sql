select 1; -- WRONG:1
