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

\ir prisma/migrations/20251001000000_init/migration.sql

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

\ir prisma/migrations/20251001000001_keys/migration.sql

-- What Prisma knows: both migrations of long ago, with the checksums of their files.
create table public._prisma_migrations (
  id                   varchar(36) primary key not null,
  checksum             varchar(64) not null,
  finished_at          timestamptz,
  migration_name       varchar(255) not null,
  logs                 text,
  rolled_back_at       timestamptz,
  started_at           timestamptz not null default now(),
  applied_steps_count  integer not null default 0
);

insert into public._prisma_migrations (id, checksum, finished_at, migration_name, started_at, applied_steps_count) values
  ('6b0c4a52-31de-4f0e-9a53-0d3f1a6f7c11', 'beffedf3ad56b07143cf8ca6ed5bf9efb046137b9c33285d127545cb84f20c7b',
   timestamptz '2025-10-01 00:00:01+00', '20251001000000_init', timestamptz '2025-10-01 00:00:00+00', 1),
  ('6b0c4a52-31de-4f0e-9a53-0d3f1a6f7c12', '732517e20d7ab4b51ef52c440e48b3ad87c3eef362f19505808ea2bbaaaaa0f7',
   timestamptz '2025-10-01 00:00:02+00', '20251001000001_keys', timestamptz '2025-10-01 00:00:01+00', 1);

commit;
