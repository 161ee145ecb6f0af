-- The development database before the window: its export_analytics keeps export_id as text, and it has schemas that
-- production neither has nor needs.
--   createdb exports_dev_scratch && psql -X -v ON_ERROR_STOP=1 -d exports_dev_scratch -f fixture_dev.sql

create table public."bazaar-vid_export_analytics" (
  id         uuid primary key default gen_random_uuid(),
  export_id  text not null,
  event      text not null,
  at         timestamp without time zone not null default now()
);
create index "export_analytics_export_idx" on public."bazaar-vid_export_analytics" (export_id);

create schema auth;
create schema neon_auth;
create schema pgrst;

insert into public."bazaar-vid_export_analytics" (id, export_id, event, at)
select md5('analytics-' || n)::uuid, md5('export-' || n)::uuid::text, 'viewed', timestamp '2025-06-01' + n * interval '1 minute'
from generate_series(1, 300) as n;

analyze;
