-- The four empty tables come back.
alter table exports_empty."bazaar-vid_component_error" set schema public;
alter table exports_empty."bazaar-vid_patch" set schema public;
alter table exports_empty."bazaar-vid_scene_plan" set schema public;
alter table exports_empty."bazaar-vid_scene_specs" set schema public;
drop schema exports_empty;
