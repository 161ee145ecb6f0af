-- Set 3 of 5, core tables intact (3 of 3): a fingerprint of the 40 tables that no migration touches: every column with type,
-- default and nullability, every constraint with its definition, so also every foreign key. Run in the preparation and again
-- after the migrations. Expected: the same text. NULL when there is nothing to look at.
with tables as (
  select r.oid, r.relname
  from pg_catalog.pg_class as r
  join pg_catalog.pg_namespace as n on n.oid = r.relnamespace and n.nspname = 'public'
  where r.relkind in ('r', 'p')
    and r.relname not in (
      'agent_recommendations', 'agent_trust_scores', 'competitors',
      'quests', 'quest_moves', 'quest_milestones', 'capability_nodes', 'maneuver_prerequisites',
      'quick_wins', 'cohort_relations', 'move_decisions', 'notifications')
), facts as (
  select t.oid, format('%s column %s %s %s %s', t.relname, a.attname, format_type(a.atttypid, a.atttypmod),
                case when a.attnotnull then 'not null' else 'null' end, coalesce(pg_get_expr(d.adbin, d.adrelid), '-')) as fact
  from tables as t
  join pg_catalog.pg_attribute as a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
  left join pg_catalog.pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
  union all
  select t.oid, format('%s constraint %s %s', t.relname, k.conname, pg_get_constraintdef(k.oid))
  from tables as t
  join pg_catalog.pg_constraint as k on k.conrelid = t.oid
)
select md5(string_agg(fact, E'\n' order by fact collate "C")) as fingerprint,
       count(distinct oid) as tables,
       count(*) as facts
from facts
