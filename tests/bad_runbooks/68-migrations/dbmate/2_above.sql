select 1; -- WRONG:1
-- migrate:up
select 1;
