-- Columns of exports that do not have the type they should have; 17 are looked for.
select 17 - count(*) filter (where format_type(a.atttypid, a.atttypmod) = w.type and a.attnotnull = w.required) as wrong,
       count(*) as found
from (values
  ('id', 'uuid', true), ('user_id', 'character varying(255)', true), ('project_id', 'uuid', true), ('render_id', 'text', true),
  ('status', 'text', true), ('progress', 'integer', false), ('format', 'text', true), ('quality', 'text', true),
  ('output_url', 'text', false), ('file_size', 'integer', false), ('duration', 'integer', false), ('error', 'text', false),
  ('metadata', 'jsonb', false), ('download_count', 'integer', false), ('last_downloaded_at', 'timestamp without time zone', false),
  ('created_at', 'timestamp without time zone', true), ('completed_at', 'timestamp without time zone', false)
) as w (name, type, required)
join pg_catalog.pg_attribute as a
  on a.attrelid = to_regclass('public."bazaar-vid_exports"') and a.attname = w.name and not a.attisdropped
