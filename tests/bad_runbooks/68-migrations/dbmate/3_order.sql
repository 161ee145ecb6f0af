-- migrate:down
-- WRONG:1
-- migrate:up
select 1;
