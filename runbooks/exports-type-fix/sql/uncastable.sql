-- An id with capitals is refused too: as a uuid it would have another text, and nobody who holds the old one would find it.
-- Rows of the live table that the new types, lengths and keys would refuse. One of them would stop the whole copy.
select count(*) as refused,
       left(string_agg(format('%s (%s)', e.id, w.why), ', ' order by e.id), 500) as which
from public."bazaar-vid_exports" as e
cross join lateral (
  select case
    when e.id !~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then 'id is no uuid in small letters'
    when e.project_id !~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then 'project_id is no uuid in small letters'
    when length(e.user_id) > 255 then 'user_id is longer than 255'
    when not exists (select from public."bazaar-vid_user" as u where u.id = e.user_id) then 'no such user'
    when not exists (select from public."bazaar-vid_project" as p where p.id::text = e.project_id) then 'no such project'
  end as why
) as w
where w.why is not null
