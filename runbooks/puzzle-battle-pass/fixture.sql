-- The state before the battle pass, in an empty database: users, daily puzzles, who completed which.
--   createdb puzzle && psql -X -v ON_ERROR_STOP=1 -d puzzle -f fixture.sql
--   psql … -v rows=20000 -f fixture.sql         a smaller one, for a rehearsal
-- 1,000,000 users unless `rows` says otherwise, 1,000 puzzles, completions for two users of five. Made up, and the same on
-- every run. Statistics are left to the server, as after any large import.

\if :{?rows}
\else
  \set rows 1000000
\endif

begin;

-- Half of each page stays free: a row that is changed at every login finds room beside its old version, and no index changes.
create table public.users (
  id                       serial primary key,
  clerk_id                 text not null,
  email                    text not null,
  username                 text not null,
  subscription_tier        text not null default 'free',
  subscription_status      text,
  subscription_expires_at  timestamp(3),
  created_at               timestamp(3) not null default current_timestamp,
  updated_at               timestamp(3) not null
) with (fillfactor = 50);

create table public.daily_puzzles (
  id             serial primary key,
  puzzle_date    date not null,
  variant        text not null,
  difficulty     text not null,
  puzzle         jsonb not null,
  solution       jsonb not null,
  quality_score  integer not null default 0,
  created_at     timestamp(3) not null default current_timestamp
);

create table public.user_puzzle_completions (
  id            serial primary key,
  user_id       integer not null references public.users (id) on delete cascade,
  puzzle_id     integer not null references public.daily_puzzles (id) on delete restrict,
  seconds       integer not null,
  completed_at  timestamp(3) not null default current_timestamp
);

insert into public.users (clerk_id, email, username, subscription_tier, subscription_status, created_at, updated_at)
select 'user_' || n, 'player' || n || '@example.org', 'player' || n,
       case when n % 50 = 0 then 'premium' else 'free' end,
       case when n % 50 = 0 then (array['active', 'active', 'past_due', 'canceled'])[1 + n / 50 % 4] end,
       timestamp '2025-01-01' + n * interval '20 seconds', timestamp '2025-11-01'
from generate_series(1, :rows) as n;

insert into public.daily_puzzles (puzzle_date, variant, difficulty, puzzle, solution, quality_score)
select date '2025-01-01' + n / 4, (array['classic', 'xsudoku', 'killer', 'thermo'])[1 + n % 4],
       (array['easy', 'medium', 'hard'])[1 + n / 4 % 3], '[]', '[]', n % 100
from generate_series(0, 999) as n;

-- Two users of five have solved a puzzle, half of them a second one, seven puzzles further: no pair comes twice.
insert into public.user_puzzle_completions (user_id, puzzle_id, seconds, completed_at)
select 1 + n % of_five, 1 + (n % of_five + 7 * (n / of_five)) % 1000, 60 + n % 900,
       timestamp '2025-06-01' + n * interval '3 seconds'
from (values (:rows * 2 / 5)) as two (of_five), generate_series(0, of_five * 3 / 2 - 1) as n;

create unique index users_clerk_id_key on public.users (clerk_id);
create unique index users_email_key on public.users (email);
create unique index users_username_key on public.users (username);
create unique index daily_puzzles_puzzle_date_variant_difficulty_key on public.daily_puzzles (puzzle_date, variant, difficulty);
create unique index user_puzzle_completions_user_id_puzzle_id_key on public.user_puzzle_completions (user_id, puzzle_id);

commit;
