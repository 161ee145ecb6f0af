-- Set 4 of 5, foreign-key integrity (2 of 2): orphans. Every foreign key is asked by a real anti-join how many of its rows
-- have no parent, and a key that is not validated counts as one, too. Expected: 0.
-- NULL when there is no key or no referring row: nothing would have been looked at.
with keys as (
  select k.oid, k.conname, k.convalidated,
         format('select count(*) as refs, count(*) filter (where p.%I is null) as orphans from only %s as c left join %s as p on %s where %s',
                min(pa.attname), k.conrelid::regclass, k.confrelid::regclass,
                string_agg(format('p.%I = c.%I', pa.attname, ca.attname), ' and ' order by u.position),
                string_agg(format('c.%I is not null', ca.attname), ' and ' order by u.position)) as question
  from pg_catalog.pg_constraint as k
  join pg_catalog.pg_class as r on r.oid = k.conrelid and r.relkind = 'r'
  join pg_catalog.pg_namespace as n on n.oid = r.relnamespace and n.nspname = 'public'
  cross join unnest(k.conkey, k.confkey) with ordinality as u (child, parent, position)
  join pg_catalog.pg_attribute as ca on ca.attrelid = k.conrelid and ca.attnum = u.child
  join pg_catalog.pg_attribute as pa on pa.attrelid = k.confrelid and pa.attnum = u.parent
  where k.contype = 'f'
  group by k.oid, k.conname, k.convalidated, k.conrelid, k.confrelid
), asked as (
  select conname, convalidated, query_to_xml(question, false, true, '') as answer
  from keys
), answers as (
  select conname, convalidated,
         (xpath('/row/refs/text()', answer))[1]::text::bigint as refs,
         (xpath('/row/orphans/text()', answer))[1]::text::bigint as orphans
  from asked
)
select case when sum(refs) > 0 then sum(orphans)::bigint + count(*) filter (where not convalidated) end as orphans,
       count(*) as keys_asked,
       sum(refs)::bigint as rows_asked,
       string_agg(conname, ', ' order by conname) filter (where orphans > 0 or not convalidated) as broken
from answers
