-- Users, daily puzzles, who completed which: applied long before this window.
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
