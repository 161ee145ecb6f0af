-- Everything that is there now, by name and with casts. What is written while this runs, and after, comes with the swap.
insert into public."bazaar-vid_exports_new"
  (id, user_id, project_id, render_id, status, progress, format, quality, output_url, file_size, duration, error, metadata,
   download_count, last_downloaded_at, created_at, completed_at)
select e.id::uuid, e.user_id::character varying(255), e.project_id::uuid, e.render_id, e.status, e.progress, e.format, e.quality,
       e.output_url, e.file_size, e.duration, e.error, e.metadata, e.download_count, e.last_downloaded_at, e.created_at,
       e.completed_at
from public."bazaar-vid_exports" as e
on conflict (id) do nothing
