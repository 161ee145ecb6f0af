-- Set 4 of 5, foreign-key integrity (1 of 2): the foreign keys of public. Expected: 42.
select count(*) as foreign_keys,
       count(*) filter (where not k.convalidated) as not_validated
from pg_catalog.pg_constraint as k
join pg_catalog.pg_class as r on r.oid = k.conrelid
join pg_catalog.pg_namespace as n on n.oid = r.relnamespace and n.nspname = 'public'
where k.contype = 'f'
  and k.conparentid = 0
