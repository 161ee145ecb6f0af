-- Set 5 of 5, row-level security (1 of 2): the policies of public. Expected: 18.
select count(*) as policies,
       count(distinct p.tablename) as on_tables
from pg_catalog.pg_policies as p
where p.schemaname = 'public'
