-- Set 1 of 5, schema conflicts fixed (4 of 4): in how many of the three tables workspace_id is NOT NULL and bound to
-- workspaces by a validated foreign key. Expected: 3.
select count(distinct k.conrelid) as bound_tables,
       string_agg(distinct r.relname, ', ' order by r.relname) as tables
from pg_catalog.pg_constraint as k
join pg_catalog.pg_class as r on r.oid = k.conrelid
join pg_catalog.pg_namespace as n on n.oid = r.relnamespace and n.nspname = 'public'
join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and k.conkey = array[a.attnum]
where k.contype = 'f'
  and k.convalidated
  and k.confrelid = to_regclass('public.workspaces')
  and r.relname in ('agent_recommendations', 'agent_trust_scores', 'competitors')
  and a.attname = 'workspace_id'
  and a.attnotnull
