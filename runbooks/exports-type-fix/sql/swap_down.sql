-- The swap taken back: the old table has followed the new one, so nothing that was written since is lost.

lock table public."bazaar-vid_exports" in access exclusive mode;
lock table public."bazaar-vid_exports_old" in access exclusive mode;

do $same$
begin
  if (select count(*) from public."bazaar-vid_exports") <> (select count(*) from public."bazaar-vid_exports_old")
     or exists (select from public."bazaar-vid_exports" as n
                left join public."bazaar-vid_exports_old" as e on e.id = n.id::text
                where e.id is null
                   or to_jsonb(n) is distinct from to_jsonb(e))
  then
    raise exception 'the old table has not followed the new one'
      using hint = 'nothing has changed; compare both tables before you go back';
  end if;
end
$same$;

drop trigger exports_keep_old on public."bazaar-vid_exports";
drop function public.exports_keep_old();

alter table public."bazaar-vid_exports" rename to "bazaar-vid_exports_new";
alter table public."bazaar-vid_exports_new" rename constraint "bazaar-vid_exports_pkey" to "bazaar-vid_exports_new_pkey";
alter table public."bazaar-vid_exports_new" rename constraint "bazaar-vid_exports_render_id_key" to "bazaar-vid_exports_new_render_id_key";
alter index public."exports_user_idx" rename to "exports_user_idx_new";
alter index public."exports_project_idx" rename to "exports_project_idx_new";
alter index public."exports_created_idx" rename to "exports_created_idx_new";

alter table public."bazaar-vid_exports_old" rename to "bazaar-vid_exports";
alter table public."bazaar-vid_exports" rename constraint "bazaar-vid_exports_old_pkey" to "bazaar-vid_exports_pkey";
alter table public."bazaar-vid_exports" rename constraint "bazaar-vid_exports_old_render_id_key" to "bazaar-vid_exports_render_id_key";
alter index public."exports_user_idx_old" rename to "exports_user_idx";
alter index public."exports_project_idx_old" rename to "exports_project_idx";
alter index public."exports_created_idx_old" rename to "exports_created_idx";
