-- S1.17: what takes 02 back, and with the column everything that was filled into it.
drop trigger count_puzzle_completion on public.user_puzzle_completions;
drop function public.count_puzzle_completion();
alter table public.users drop column total_puzzles_completed;
