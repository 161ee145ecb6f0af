-- S1.17: what takes 01 back. Without IF EXISTS: something that is not there is news, not a detail.
-- Seasons or progress that somebody has written stop it.
lock table public.battle_pass_seasons, public.user_battle_pass_progress in access exclusive mode;
do $empty$
begin
  if exists (select from public.user_battle_pass_progress) or exists (select from public.battle_pass_seasons) then
    raise exception 'seasons or progress were written since 01'
      using hint = 'nothing has changed; decide what becomes of the rows, then empty the tables by hand or restore';
  end if;
end
$empty$;

drop table public.user_battle_pass_progress;
drop table public.battle_pass_seasons;
