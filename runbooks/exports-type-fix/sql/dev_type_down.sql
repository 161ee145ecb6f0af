alter table public."bazaar-vid_export_analytics" alter column export_id type text using export_id::text;
