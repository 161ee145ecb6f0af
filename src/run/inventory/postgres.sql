-- The inventory of a database, one line per object: kind, name, detail. One statement, so one moment. Objects of extensions,
-- of the server and of gonogo itself are left out. Options stand in the first block.
with option as (
  select {schemas}::text[] as schemas, {rows}::boolean as counted, {estimated}::boolean as estimated,
         {data}::boolean as summed, {sequences}::boolean as positions
), space as (
  select n.oid, n.nspname, n.nspowner, n.nspacl
  from pg_catalog.pg_namespace as n, option as o
  where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'gonogo')
    and (cardinality(o.schemas) = 0 or n.nspname = any (o.schemas))
), own as (
  select d.classid, d.objid from pg_catalog.pg_depend as d where d.deptype = 'e'
), rel as (
  select c.*, format('%I.%I', s.nspname, c.relname) as name
  from pg_catalog.pg_class as c
  join space as s on s.oid = c.relnamespace
  where not exists (select from own where own.classid = 'pg_catalog.pg_class'::regclass and own.objid = c.oid)
), tab as (
  select * from rel where relkind in ('r', 'p', 'f')
), line as (
  select 'schema' as kind, format('%I', nspname) as name, 'owner ' || pg_get_userbyid(nspowner) as detail from space
  union all
  select case relkind when 'p' then 'partitioned table' when 'f' then 'foreign table' else 'table' end, name,
         concat_ws(', ', 'owner ' || pg_get_userbyid(relowner), case relpersistence when 'u' then 'unlogged' end,
                   case when relrowsecurity then 'row security' end, case when relforcerowsecurity then 'forced' end,
                   case when relispartition then pg_get_expr(relpartbound, oid) end, array_to_string(reloptions, ', '))
  from tab
  union all
  select 'column', format('%s.%I', t.name, a.attname),
         concat_ws(' ', format_type(a.atttypid, a.atttypmod), case when a.attnotnull then 'not null' end,
                   case when a.attgenerated <> '' then 'generated ' || pg_get_expr(d.adbin, d.adrelid)
                        when d.adbin is not null then 'default ' || pg_get_expr(d.adbin, d.adrelid) end,
                   case a.attidentity when 'a' then 'identity always' when 'd' then 'identity by default' end,
                   case when a.attcollation <> y.typcollation then 'collate ' || a.attcollation::regcollation end)
  from tab as t
  join pg_catalog.pg_attribute as a on a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
  join pg_catalog.pg_type as y on y.oid = a.atttypid
  left join pg_catalog.pg_attrdef as d on d.adrelid = a.attrelid and d.adnum = a.attnum
  union all
  select 'constraint', format('%s.%I', t.name, k.conname), pg_get_constraintdef(k.oid)
  from tab as t join pg_catalog.pg_constraint as k on k.conrelid = t.oid
  where k.contype <> 't'
  union all
  select 'index', i.name, pg_get_indexdef(x.indexrelid) || case when x.indisvalid then '' else ' (INVALID)' end
  from rel as i join pg_catalog.pg_index as x on x.indexrelid = i.oid
  union all
  select 'policy', format('%s.%I', t.name, p.polname),
         concat_ws(' ', case when p.polpermissive then 'permissive' else 'restrictive' end, p.polcmd::text,
                   'to ' || (select string_agg(case when r = 0 then 'public' else pg_get_userbyid(r) end, ', ' order by r) from unnest(p.polroles) as r),
                   'using ' || pg_get_expr(p.polqual, p.polrelid), 'with check ' || pg_get_expr(p.polwithcheck, p.polrelid))
  from tab as t join pg_catalog.pg_policy as p on p.polrelid = t.oid
  union all
  select 'trigger', format('%s.%I', t.name, g.tgname), pg_get_triggerdef(g.oid) || case g.tgenabled when 'O' then '' else ' (' || g.tgenabled::text || ')' end
  from rel as t join pg_catalog.pg_trigger as g on g.tgrelid = t.oid
  where not g.tgisinternal
  union all
  select case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' when 'w' then 'window function' else 'function' end,
         format('%I.%I(%s)', s.nspname, p.proname, pg_get_function_identity_arguments(p.oid)),
         'owner ' || pg_get_userbyid(p.proowner) || case when p.prokind in ('f', 'p') then ', md5 ' || md5(pg_get_functiondef(p.oid)) else '' end
  from pg_catalog.pg_proc as p join space as s on s.oid = p.pronamespace
  where not exists (select from own where own.classid = 'pg_catalog.pg_proc'::regclass and own.objid = p.oid)
  union all
  select case relkind when 'v' then 'view' else 'materialized view' end, name, 'owner ' || pg_get_userbyid(relowner) || ', md5 ' || md5(pg_get_viewdef(oid))
  from rel where relkind in ('v', 'm')
  union all
  select 'sequence', r.name,
         format('%s from %s by %s, %s to %s%s', format_type(q.seqtypid, null), q.seqstart, q.seqincrement, q.seqmin, q.seqmax, case when q.seqcycle then ', cycles' else '' end)
  from rel as r join pg_catalog.pg_sequence as q on q.seqrelid = r.oid
  union all
  select 'position', r.name, (xpath('/row/n/text()', query_to_xml(format('select last_value || case when is_called then '''' else '' (not used)'' end as n from %s', r.name), false, true, '')))[1]::text
  from rel as r, option as o where r.relkind = 'S' and o.positions
  union all
  select case y.typtype when 'e' then 'enum' when 'd' then 'domain' when 'r' then 'range' else 'type' end, format('%I.%I', s.nspname, y.typname),
         case y.typtype
           when 'e' then (select string_agg(quote_literal(e.enumlabel), ', ' order by e.enumsortorder) from pg_catalog.pg_enum as e where e.enumtypid = y.oid)
           when 'd' then concat_ws(' ', format_type(y.typbasetype, y.typtypmod), case when y.typnotnull then 'not null' end, 'default ' || y.typdefault,
                                   (select string_agg(pg_get_constraintdef(k.oid), ' ' order by k.conname) from pg_catalog.pg_constraint as k where k.contypid = y.oid))
           when 'c' then (select string_agg(format('%I %s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' order by a.attnum)
                          from pg_catalog.pg_attribute as a where a.attrelid = y.typrelid and a.attnum > 0 and not a.attisdropped)
           else '' end
  from pg_catalog.pg_type as y join space as s on s.oid = y.typnamespace
  where (y.typtype in ('e', 'd', 'r') or (y.typtype = 'c' and exists (select from pg_catalog.pg_class as c where c.oid = y.typrelid and c.relkind = 'c')))
    and not exists (select from own where own.classid = 'pg_catalog.pg_type'::regclass and own.objid = y.oid)
  union all
  select 'rule', format('%s.%I', r.name, w.rulename), pg_get_ruledef(w.oid)
  from rel as r join pg_catalog.pg_rewrite as w on w.ev_class = r.oid where w.rulename <> '_RETURN'
  union all
  select 'statistics', format('%I.%I', s.nspname, x.stxname), pg_get_statisticsobjdef(x.oid)
  from pg_catalog.pg_statistic_ext as x join space as s on s.oid = x.stxnamespace
  union all
  select 'extension', format('%I', e.extname), e.extversion from pg_catalog.pg_extension as e
  union all
  select 'grant', format('%s to %s', g.name, case g.grantee when 0 then 'public' else pg_get_userbyid(g.grantee) end),
         string_agg(lower(g.privilege_type) || case when g.is_grantable then ' with grant option' else '' end, ', ' order by g.privilege_type)
  from (
    select r.name, a.* from rel as r, aclexplode(r.relacl) as a where r.relkind in ('r', 'p', 'f', 'v', 'm', 'S') and a.grantee <> r.relowner
    union all
    select format('%s.%I', t.name, c.attname), a.* from tab as t join pg_catalog.pg_attribute as c on c.attrelid = t.oid and c.attnum > 0, aclexplode(c.attacl) as a
    union all
    select format('schema %I', s.nspname), a.* from space as s, aclexplode(coalesce(s.nspacl, acldefault('n', s.nspowner))) as a where a.grantee <> s.nspowner
    union all
    select format('%I.%I(%s)', s.nspname, p.proname, pg_get_function_identity_arguments(p.oid)), a.*
    from pg_catalog.pg_proc as p join space as s on s.oid = p.pronamespace, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as a where a.grantee <> p.proowner
      and not exists (select from own where own.classid = 'pg_catalog.pg_proc'::regclass and own.objid = p.oid)
  ) as g
  group by g.name, g.grantee
  union all
  select 'rows', t.name, (xpath('/row/n/text()', query_to_xml(format('select count(*) as n from only %s', t.name), false, true, '')))[1]::text
  from rel as t, option as o where (t.relkind = 'r' or (t.relkind = 'm' and t.relispopulated)) and o.counted
  union all
  select 'rows (estimated)', t.name, greatest(t.reltuples, 0)::bigint::text
  from tab as t, option as o where t.relkind = 'r' and o.estimated
  union all
  select 'data', t.name, (xpath('/row/n/text()', query_to_xml(
           format('select coalesce(sum(hashtextextended(to_jsonb(t)::text, 0)::numeric), 0) as n from only %s as t', t.name), false, true, '')))[1]::text
  from rel as t, option as o where (t.relkind = 'r' or (t.relkind = 'm' and t.relispopulated)) and o.summed
)
select kind, name, coalesce(detail, '') as detail from line order by kind collate "C", name collate "C", detail collate "C"
