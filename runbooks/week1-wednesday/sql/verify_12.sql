-- Set 5 of 5, row-level security (2 of 2): the policies that are in force, because row-level security is on for their
-- table. A policy on a table without it protects nothing. Expected: 18.
select count(*) filter (where r.relrowsecurity) as active_policies,
       string_agg(distinct r.relname, ', ' order by r.relname) filter (where not r.relrowsecurity) as asleep_on
from pg_catalog.pg_policy as p
join pg_catalog.pg_class as r on r.oid = p.polrelid
join pg_catalog.pg_namespace as n on n.oid = r.relnamespace and n.nspname = 'public'
