-- migrate:up
select 1; -- WRONG:1
