-- The swap, in one transaction made by gonogo. From the lock on nobody writes, so what was written since the copy is brought
-- over, both tables are compared row by row, and only then names, rights and owner change hands. Afterwards a trigger keeps
-- the old table in step, so that the way back loses nothing either.

lock table public."bazaar-vid_exports" in access exclusive mode;

-- 1. Late writes: new rows, changed rows, deleted rows

-- First goes whatever is not as it is now, so that no row stands in the way of another that took over its render_id.
delete from public."bazaar-vid_exports_new" as n
where not exists (select from public."bazaar-vid_exports" as e where e.id::uuid = n.id and to_jsonb(e) = to_jsonb(n));

insert into public."bazaar-vid_exports_new"
  (id, user_id, project_id, render_id, status, progress, format, quality, output_url, file_size, duration, error, metadata,
   download_count, last_downloaded_at, created_at, completed_at)
select e.id::uuid, e.user_id::character varying(255), e.project_id::uuid, e.render_id, e.status, e.progress, e.format, e.quality,
       e.output_url, e.file_size, e.duration, e.error, e.metadata, e.download_count, e.last_downloaded_at, e.created_at,
       e.completed_at
from public."bazaar-vid_exports" as e
where not exists (select from public."bazaar-vid_exports_new" as n where n.id = e.id::uuid);

-- 2. Nothing lost: as many rows, and each one the same

do $same$
declare
  before bigint;
  after bigint;
  other bigint;
begin
  select count(*) into before from public."bazaar-vid_exports";
  select count(*) into after from public."bazaar-vid_exports_new";
  select count(*) into other
  from public."bazaar-vid_exports" as e
  join public."bazaar-vid_exports_new" as n on n.id = e.id::uuid
  where to_jsonb(n) is distinct from to_jsonb(e);
  if before <> after or other <> 0 then
    raise exception 'the copy is not the same: % rows, then % rows, % of them differ', before, after, other
      using hint = 'nothing has changed; look for the rows, then retry';
  end if;
end
$same$;

-- 3. Rights and owner go over: a rename leaves them with the old table

do $rights$
declare
  one record;
begin
  execute format('alter table public."bazaar-vid_exports_new" owner to %I',
                 (select tableowner from pg_catalog.pg_tables where schemaname = 'public' and tablename = 'bazaar-vid_exports'));
  for one in
    select a.privilege_type, a.is_grantable,
           case when a.grantee = 0 then 'public' else quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end as grantee
    from pg_catalog.pg_class as c
    cross join lateral pg_catalog.aclexplode(c.relacl) as a
    where c.oid = 'public."bazaar-vid_exports"'::regclass
  loop
    execute format('grant %s on public."bazaar-vid_exports_new" to %s%s', one.privilege_type, one.grantee,
                   case when one.is_grantable then ' with grant option' else '' end);
  end loop;
  for one in
    select a.privilege_type, a.is_grantable, c.attname,
           case when a.grantee = 0 then 'public' else quote_ident(pg_catalog.pg_get_userbyid(a.grantee)) end as grantee
    from pg_catalog.pg_attribute as c
    cross join lateral pg_catalog.aclexplode(c.attacl) as a
    where c.attrelid = 'public."bazaar-vid_exports"'::regclass and c.attnum > 0 and not c.attisdropped
  loop
    execute format('grant %s (%I) on public."bazaar-vid_exports_new" to %s%s', one.privilege_type, one.attname, one.grantee,
                   case when one.is_grantable then ' with grant option' else '' end);
  end loop;
end
$rights$;

-- 4. Names: those of the live table move aside first

alter table public."bazaar-vid_exports" rename to "bazaar-vid_exports_old";
alter table public."bazaar-vid_exports_old" rename constraint "bazaar-vid_exports_pkey" to "bazaar-vid_exports_old_pkey";
alter table public."bazaar-vid_exports_old" rename constraint "bazaar-vid_exports_render_id_key" to "bazaar-vid_exports_old_render_id_key";
alter index public."exports_user_idx" rename to "exports_user_idx_old";
alter index public."exports_project_idx" rename to "exports_project_idx_old";
alter index public."exports_created_idx" rename to "exports_created_idx_old";

alter table public."bazaar-vid_exports_new" rename to "bazaar-vid_exports";
alter table public."bazaar-vid_exports" rename constraint "bazaar-vid_exports_new_pkey" to "bazaar-vid_exports_pkey";
alter table public."bazaar-vid_exports" rename constraint "bazaar-vid_exports_new_render_id_key" to "bazaar-vid_exports_render_id_key";
alter index public."exports_user_idx_new" rename to "exports_user_idx";
alter index public."exports_project_idx_new" rename to "exports_project_idx";
alter index public."exports_created_idx_new" rename to "exports_created_idx";

-- 5. The old table follows the new one until it is dropped

create function public.exports_keep_old() returns trigger language plpgsql security definer set search_path = pg_catalog, public as $keep$
begin
  if tg_op <> 'INSERT' then
    delete from public."bazaar-vid_exports_old" where id = old.id::text;
  end if;
  if tg_op <> 'DELETE' then
    insert into public."bazaar-vid_exports_old"
      (id, user_id, project_id, render_id, status, progress, format, quality, output_url, file_size, duration, error, metadata,
       download_count, last_downloaded_at, created_at, completed_at)
    values
      (new.id::text, new.user_id, new.project_id::text, new.render_id, new.status, new.progress, new.format, new.quality,
       new.output_url, new.file_size, new.duration, new.error, new.metadata, new.download_count, new.last_downloaded_at,
       new.created_at, new.completed_at);
  end if;
  return null;
end
$keep$;

create trigger exports_keep_old after insert or update or delete on public."bazaar-vid_exports"
  for each row execute function public.exports_keep_old();
