-- Every foreign key of the schema: unproven ones, and rows that point to nothing. A list of keys says neither.
with keys as (
  select k.oid, k.conname, k.convalidated, k.conrelid::regclass as child, k.confrelid::regclass as parent,
         (select string_agg(format('c.%I is not null', a.attname), ' and ')
          from unnest(k.conkey) as n (attnum) join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = n.attnum) as filled,
         (select string_agg(format('c.%I = p.%I', a.attname, b.attname), ' and ')
          from unnest(k.conkey, k.confkey) as n (child, parent)
          join pg_catalog.pg_attribute as a on a.attrelid = k.conrelid and a.attnum = n.child
          join pg_catalog.pg_attribute as b on b.attrelid = k.confrelid and b.attnum = n.parent) as joined
  from pg_catalog.pg_constraint as k
  where k.contype = 'f' and k.connamespace = 'public'::regnamespace
), asked as (
  select conname, convalidated,
         (xpath('/row/n/text()', query_to_xml(
            format('select count(*) as n from %s as c where %s and not exists (select from %s as p where %s)', child, filled, parent, joined),
            false, true, '')))[1]::text::bigint as orphans
  from keys
)
select coalesce(sum(orphans), 0)::bigint as orphans,
       count(*) filter (where not convalidated) as unproven,
       count(*) as keys
from asked
