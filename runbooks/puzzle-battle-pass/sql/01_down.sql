-- S1.17: what takes 01 back. Without IF EXISTS: something that is not there is news, not a detail.
drop table public.user_battle_pass_progress;
drop table public.battle_pass_seasons;
