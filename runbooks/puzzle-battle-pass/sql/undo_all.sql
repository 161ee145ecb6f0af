-- S1.19 S1.22: the emergency's one undo script. Unlike the undo of single steps it takes back whatever is there: nobody may
-- know how far the window came. It is all or nothing, and can be run twice.
alter table public.users drop constraint if exists users_total_puzzles_completed_there;
drop index if exists public.users_subscription_tier_subscription_status_idx;
drop trigger if exists count_puzzle_completion on public.user_puzzle_completions;
drop function if exists public.count_puzzle_completion();
alter table public.users drop column if exists total_puzzles_completed;
drop table if exists public.user_battle_pass_progress;
drop table if exists public.battle_pass_seasons;
-- Prisma forgets both migrations as well, so that its next "deploy" applies them again.
update public._prisma_migrations set rolled_back_at = now()
where migration_name in ('20251108123456_add_battle_pass_tables', '20251108130000_count_puzzles') and rolled_back_at is null;
