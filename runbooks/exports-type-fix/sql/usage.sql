-- The duplicate table: its missing rows are moved, by a comparison that a NULL cannot fool, every row is looked for again,
-- and only then it leaves. All in one transaction, so no row can slip in between. It is kept in the archive.

lock table public.api_usage_metric in access exclusive mode;

create schema if not exists exports_archive;

create table exports_archive.moved_usage as
select a.id, a.route, a.took_ms, a.at
from public.api_usage_metric as a
where not exists (
  select from public."bazaar-vid_api_usage_metric" as b
  where (b.id, b.route, b.took_ms, b.at) is not distinct from (a.id, a.route, a.took_ms, a.at)
);

insert into public."bazaar-vid_api_usage_metric" (id, route, took_ms, at)
select m.id, m.route, m.took_ms, m.at from exports_archive.moved_usage as m;

do $all$
declare
  missing bigint;
begin
  select count(*) into missing
  from public.api_usage_metric as a
  where not exists (
    select from public."bazaar-vid_api_usage_metric" as b
    where (b.id, b.route, b.took_ms, b.at) is not distinct from (a.id, a.route, a.took_ms, a.at)
  );
  if missing <> 0 then
    raise exception '% rows of api_usage_metric have not been moved', missing;
  end if;
end
$all$;

alter table public.api_usage_metric set schema exports_archive;

select count(*) as moved from exports_archive.moved_usage;
