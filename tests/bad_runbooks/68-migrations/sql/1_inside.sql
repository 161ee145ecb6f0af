select 1;
create index concurrently i on t (id); -- WRONG
