-- Transactions that would make a migration wait: other sessions that hold a lock on a table in public and are idle in
-- a transaction, or open for more than 30 seconds, or prepared (two-phase), or hidden from this role (unknown is not
-- harmless). Short queries of a living application are not counted, nor is autovacuum (no user): it gives way. Expected: 0.
with holders as (
  select l.virtualtransaction,
         max(l.pid) as pid,
         string_agg(distinct c.relname, ', ' order by c.relname) as tables
  from pg_catalog.pg_locks as l
  join pg_catalog.pg_class as c on c.oid = l.relation and c.relkind in ('r', 'p')
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = 'public'
  where l.locktype = 'relation'
    and l.granted
    and l.database = (select d.oid from pg_catalog.pg_database as d where d.datname = current_database())
    and l.pid is distinct from pg_backend_pid()
  group by l.virtualtransaction
), blockers as (
  select h.pid, h.tables, a.usename, coalesce(a.state, 'prepared or hidden') as state,
         extract(epoch from clock_timestamp() - a.xact_start)::int as age_s
  from holders as h
  left join pg_catalog.pg_stat_activity as a on a.pid = h.pid
  where not (a.pid is not null and a.usesysid is null)
    and (a.state is null
         or a.state like 'idle in transaction%'
         or a.xact_start is null
         or a.xact_start < clock_timestamp() - interval '30 seconds')
)
select count(*) as blockers,
       string_agg(format('pid %s, %s, %s, %s s, locks %s', coalesce(pid::text, '-'), coalesce(usename, '-'), state, coalesce(age_s::text, '?'), tables),
                  ' | ' order by age_s desc nulls first) as who
from blockers
