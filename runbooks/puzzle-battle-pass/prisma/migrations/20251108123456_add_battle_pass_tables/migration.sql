-- S1.1 S1.2 S1.10: migration 20251108123456_add_battle_pass_tables, as Prisma would generate it for the two models.
-- The document's own text repeats the UNIQUE of the second table in an index of its own: that one is left out.

create table public.battle_pass_seasons (
  id             serial not null,
  season_number  integer not null,
  start_date     date not null,
  end_date       date not null,
  is_active      boolean not null default false,
  created_at     timestamp(3) not null default current_timestamp,
  constraint battle_pass_seasons_pkey primary key (id)
);

create unique index battle_pass_seasons_season_number_key on public.battle_pass_seasons (season_number);

create table public.user_battle_pass_progress (
  id                serial not null,
  user_id           integer not null,
  season_id         integer not null,
  current_tier      integer not null default 1,
  current_xp        integer not null default 0,
  has_premium_pass  boolean not null default false,
  constraint user_battle_pass_progress_pkey primary key (id)
);

create unique index user_battle_pass_progress_user_id_season_id_key on public.user_battle_pass_progress (user_id, season_id);

-- The table is empty, so the keys are checked in no time; users and seasons are locked for that instant only.
alter table public.user_battle_pass_progress
  add constraint user_battle_pass_progress_user_id_fkey foreign key (user_id) references public.users (id) on delete cascade on update cascade,
  add constraint user_battle_pass_progress_season_id_fkey foreign key (season_id) references public.battle_pass_seasons (id) on delete restrict on update cascade;
