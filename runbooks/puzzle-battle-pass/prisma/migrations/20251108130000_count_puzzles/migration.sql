-- S1.13 S1.51: the column, empty for every user there is (adding it rewrites nothing), 0 for every user to come.
-- A default for all would look filled everywhere, and nobody could tell who still has to be counted.
alter table public.users add column total_puzzles_completed integer;
alter table public.users alter column total_puzzles_completed set default 0;

-- S1.14 "write to both": from this moment on every completion counts, whether its user was filled already or not. Without it
-- a puzzle solved after its user's turn would be missing for ever. The user's row is locked first, in the weakest way that
-- keeps the backfill and other completions of the same user apart; what is counted then is what is there.
create function public.count_puzzle_completion() returns trigger language plpgsql as $$
declare
  player integer := case when tg_op = 'DELETE' then old.user_id else new.user_id end;
  step   integer := case when tg_op = 'DELETE' then -1 else 1 end;
begin
  perform from public.users where id = player for no key update;
  update public.users
  set total_puzzles_completed = coalesce(
        total_puzzles_completed + step,
        (select count(*) from public.user_puzzle_completions as c where c.user_id = player))
  where id = player;
  return null;
end
$$;

create trigger count_puzzle_completion after insert or delete on public.user_puzzle_completions
  for each row execute function public.count_puzzle_completion();
