-- The four tables that the application's schema has and production lacks.

create table public."bazaar-vid_promo_codes" (
  id          uuid default gen_random_uuid() not null primary key,
  code        text not null unique,
  percent     integer not null check (percent between 1 and 100),
  expires_at  timestamp without time zone,
  created_at  timestamp without time zone default now() not null
);

create table public."bazaar-vid_promo_code_usage" (
  id             uuid default gen_random_uuid() not null primary key,
  promo_code_id  uuid not null references public."bazaar-vid_promo_codes" (id) on delete cascade,
  user_id        character varying(255) not null references public."bazaar-vid_user" (id) on delete cascade,
  used_at        timestamp without time zone default now() not null,
  unique (promo_code_id, user_id)
);

create table public."bazaar-vid_paywall_events" (
  id       uuid default gen_random_uuid() not null primary key,
  user_id  character varying(255) not null references public."bazaar-vid_user" (id) on delete cascade,
  event    text not null,
  at       timestamp without time zone default now() not null
);

create table public."bazaar-vid_paywall_analytics" (
  day     date not null primary key,
  shown   integer default 0 not null,
  bought  integer default 0 not null
);
