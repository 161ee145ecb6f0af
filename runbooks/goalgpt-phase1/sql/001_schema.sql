-- 001: seventeen new tables, three altered ones. One transaction, made by gonogo. New columns have no default to fill in, so
-- the altered tables are not rewritten; every key of a new table is proven while it is empty.

-- accounts

create table public.customer_oauth_identities (
  id                uuid primary key default gen_random_uuid(),
  customer_user_id  uuid not null references public.customer_users (id) on delete cascade,
  provider          text not null check (provider in ('google', 'apple')),
  provider_subject  text not null,
  linked_at         timestamptz not null default now(),
  unique (provider, provider_subject)
);
create index idx_oauth_user on public.customer_oauth_identities (customer_user_id);

-- experience

create table public.customer_xp (
  id                uuid primary key default gen_random_uuid(),
  customer_user_id  uuid not null unique references public.customer_users (id) on delete cascade,
  xp_points         integer not null default 0 check (xp_points >= 0),
  level             text not null default 'bronze' check (level in ('bronze', 'silver', 'gold', 'platinum', 'diamond')),
  updated_at        timestamptz not null default now()
);
create index idx_xp_leaderboard on public.customer_xp (xp_points desc);

create table public.customer_xp_transactions (
  id                uuid primary key default gen_random_uuid(),
  customer_user_id  uuid not null references public.customer_users (id) on delete cascade,
  amount            integer not null,
  reason            text not null,
  created_at        timestamptz not null default now()
);
create index idx_xp_transactions_user on public.customer_xp_transactions (customer_user_id, created_at desc);

create table public.badges (
  id           uuid primary key default gen_random_uuid(),
  slug         text not null unique,
  title        text not null,
  description  text not null
);

create table public.customer_badges (
  customer_user_id  uuid not null references public.customer_users (id) on delete cascade,
  badge_id          uuid not null references public.badges (id),
  unlocked_at       timestamptz not null default now(),
  primary key (customer_user_id, badge_id)
);

-- credits

create table public.customer_credits (
  id                uuid primary key default gen_random_uuid(),
  customer_user_id  uuid not null unique references public.customer_users (id) on delete cascade,
  balance           integer not null default 0 check (balance >= 0),
  updated_at        timestamptz not null default now()
);

create table public.customer_credit_transactions (
  id                uuid primary key default gen_random_uuid(),
  customer_user_id  uuid not null references public.customer_users (id) on delete cascade,
  amount            integer not null,
  transaction_type  text not null check (transaction_type in ('promotional', 'ad_reward', 'purchase', 'refund', 'referral', 'daily_reward')),
  metadata          jsonb not null default '{}',
  created_at        timestamptz not null default now()
);
create index idx_credit_transactions_user on public.customer_credit_transactions (customer_user_id, created_at desc);

create table public.customer_ad_views (
  id                uuid primary key default gen_random_uuid(),
  customer_user_id  uuid not null references public.customer_users (id) on delete cascade,
  placement         text not null,
  completed         boolean not null default false,
  viewed_at         timestamptz not null default now()
);
create index idx_ad_views_user on public.customer_ad_views (customer_user_id, viewed_at desc);

-- referrals and partners

create table public.referrals (
  id                uuid primary key default gen_random_uuid(),
  referrer_id       uuid not null references public.customer_users (id) on delete cascade,
  referred_id       uuid not null unique references public.customer_users (id) on delete cascade,
  state             text not null default 'pending' check (state in ('pending', 'rewarded', 'refused')),
  created_at        timestamptz not null default now(),
  check (referrer_id <> referred_id)
);
create index idx_referrals_referrer on public.referrals (referrer_id);

create table public.partners (
  id             uuid primary key default gen_random_uuid(),
  name           text not null,
  code           text not null unique,
  share_percent  numeric(5, 2) not null default 0 check (share_percent between 0 and 100),
  active         boolean not null default true
);

create table public.partner_analytics (
  partner_id  uuid not null references public.partners (id) on delete cascade,
  day         date not null,
  sign_ups    integer not null default 0,
  revenue     numeric(12, 2) not null default 0,
  primary key (partner_id, day)
);

-- matches

create table public.match_comments (
  id                uuid primary key default gen_random_uuid(),
  match_id          bigint not null,
  customer_user_id  uuid not null references public.customer_users (id) on delete cascade,
  body              text not null check (length(body) between 1 and 2000),
  created_at        timestamptz not null default now()
);
create index idx_comments_match on public.match_comments (match_id, created_at desc);

create table public.match_comment_likes (
  comment_id        uuid not null references public.match_comments (id) on delete cascade,
  customer_user_id  uuid not null references public.customer_users (id) on delete cascade,
  primary key (comment_id, customer_user_id)
);

create table public.customer_daily_rewards (
  customer_user_id  uuid not null references public.customer_users (id) on delete cascade,
  day               date not null,
  credits           integer not null,
  primary key (customer_user_id, day)
);

-- words

create table public.blog_posts (
  id            uuid primary key default gen_random_uuid(),
  slug          text not null unique,
  title         text not null,
  body          text not null,
  published_at  timestamptz
);

create table public.notification_templates (
  id     uuid primary key default gen_random_uuid(),
  slug   text not null unique,
  title  text not null,
  body   text not null
);

create table public.scheduled_notifications (
  id           uuid primary key default gen_random_uuid(),
  template_id  uuid not null references public.notification_templates (id),
  send_at      timestamptz not null,
  sent_at      timestamptz
);
create index idx_scheduled_due on public.scheduled_notifications (send_at) where sent_at is null;

-- the three that are there already

alter table public.customer_users
  add column google_id text,
  add column apple_id text,
  add column username text,
  add column referral_code text;

alter table public.customer_subscriptions
  add column partner_id uuid,
  add column referral_code text,
  add column referral_source text;
alter table public.customer_subscriptions
  add constraint customer_subscriptions_partner_fkey foreign key (partner_id) references public.partners (id) not valid;

alter table public.ts_prediction_mapped
  add column credit_cost integer,
  add column purchased_by_user_id uuid,
  add column purchased_at timestamptz;
alter table public.ts_prediction_mapped
  add constraint ts_prediction_mapped_buyer_fkey foreign key (purchased_by_user_id) references public.customer_users (id) not valid;
