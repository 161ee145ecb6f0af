-- Development only: export_id from text to uuid. The whole table is rewritten under its lock: 300 rows, no application.
alter table public."bazaar-vid_export_analytics" alter column export_id type uuid using export_id::uuid;
