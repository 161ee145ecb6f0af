-- The table with the right types, its indexes and keys. Empty and unused, so nobody waits for it; its keys keep writers of users
-- and projects out for the moment in which they are made, and are proven at once. The names are those of the end: the live table's own get the suffix "_old" in the swap. Until then "_new".

create table public."bazaar-vid_exports_new" (
  id                  uuid default gen_random_uuid() not null,
  user_id             character varying(255) not null,
  project_id          uuid not null,
  render_id           text not null,
  status              text default 'pending' not null,
  progress            integer default 0,
  format              text default 'mp4' not null,
  quality             text default 'high' not null,
  output_url          text,
  file_size           integer,
  duration            integer,
  error               text,
  metadata            jsonb,
  download_count      integer default 0,
  last_downloaded_at  timestamp without time zone,
  created_at          timestamp without time zone default now() not null,
  completed_at        timestamp without time zone,
  constraint "bazaar-vid_exports_new_pkey" primary key (id),
  constraint "bazaar-vid_exports_new_render_id_key" unique (render_id)
);

-- The plan's fourth index, on render_id, would repeat the one that "unique" makes.
create index "exports_user_idx_new" on public."bazaar-vid_exports_new" (user_id);
create index "exports_project_idx_new" on public."bazaar-vid_exports_new" (project_id);
create index "exports_created_idx_new" on public."bazaar-vid_exports_new" (created_at);

alter table public."bazaar-vid_exports_new"
  add constraint "exports_user_fk" foreign key (user_id) references public."bazaar-vid_user" (id) on delete cascade,
  add constraint "exports_project_fk" foreign key (project_id) references public."bazaar-vid_project" (id) on delete cascade;
