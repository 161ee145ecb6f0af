-- What the application does, once each: it leaves nothing behind. The last result counts what went as it should: 4 of 4.
create temporary table crud (done text) on commit drop;

with made as (
  insert into public."bazaar-vid_exports" (user_id, project_id, render_id)
  select p.user_id, p.id, 'gonogo-check-' || gen_random_uuid() from public."bazaar-vid_project" as p order by p.id limit 1
  returning id
) insert into crud select 'create ' || id from made;

insert into crud select 'read' from public."bazaar-vid_exports" as e
where e.render_id like 'gonogo-check-%' and e.status = 'pending' and e.created_at is not null;

with changed as (
  update public."bazaar-vid_exports" set status = 'completed', progress = 100
  where render_id like 'gonogo-check-%' returning id
) insert into crud select 'update' from changed;

with gone as (
  delete from public."bazaar-vid_exports" where render_id like 'gonogo-check-%' returning id
) insert into crud select 'delete' from gone;

select count(*) as passed from crud;
