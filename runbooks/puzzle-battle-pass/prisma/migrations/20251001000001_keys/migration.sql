-- Their unique keys: applied long before this window.
create unique index users_clerk_id_key on public.users (clerk_id);
create unique index users_email_key on public.users (email);
create unique index users_username_key on public.users (username);
create unique index daily_puzzles_puzzle_date_variant_difficulty_key on public.daily_puzzles (puzzle_date, variant, difficulty);
create unique index user_puzzle_completions_user_id_puzzle_id_key on public.user_puzzle_completions (user_id, puzzle_id);
