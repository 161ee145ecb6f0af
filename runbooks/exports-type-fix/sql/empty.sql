-- Four tables leave if, and only if, they are empty at this moment: looked at under the lock under which they leave.

lock table public."bazaar-vid_component_error", public."bazaar-vid_patch", public."bazaar-vid_scene_plan", public."bazaar-vid_scene_specs"
  in access exclusive mode;

do $empty$
declare
  name text;
  filled boolean;
begin
  foreach name in array array['bazaar-vid_component_error', 'bazaar-vid_patch', 'bazaar-vid_scene_plan', 'bazaar-vid_scene_specs'] loop
    execute format('select exists (select from public.%I)', name) into filled;
    if filled then
      raise exception 'the table % is not empty', name
        using hint = 'nothing has changed; find out who writes to it';
    end if;
  end loop;
end
$empty$;

create schema exports_empty;
alter table public."bazaar-vid_component_error" set schema exports_empty;
alter table public."bazaar-vid_patch" set schema exports_empty;
alter table public."bazaar-vid_scene_plan" set schema exports_empty;
alter table public."bazaar-vid_scene_specs" set schema exports_empty;
