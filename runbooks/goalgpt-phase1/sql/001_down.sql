-- 001 taken back. No CASCADE: whatever else depends on these tables stops it. So does every row that somebody has written since:
-- what 002 filled is empty again by now, and nothing here may take more with it.
lock table public.customer_users, public.customer_subscriptions, public.ts_prediction_mapped in access exclusive mode;
do $written$
declare
  one text;
  written boolean;
begin
  foreach one in array array['scheduled_notifications', 'notification_templates', 'blog_posts', 'customer_daily_rewards',
    'match_comment_likes', 'match_comments', 'partner_analytics', 'partners', 'referrals', 'customer_ad_views',
    'customer_credit_transactions', 'customer_credits', 'customer_badges', 'badges', 'customer_xp_transactions', 'customer_xp',
    'customer_oauth_identities']
  loop
    execute format('lock table public.%I in access exclusive mode', one);
    execute format('select exists (select from public.%I)', one) into written;
    if written then
      raise exception 'somebody has written into % since', one
        using hint = 'nothing has changed; decide what becomes of the rows, then empty the table by hand or restore';
    end if;
  end loop;
  if exists (select from public.customer_users where num_nonnulls(google_id, apple_id, username, referral_code) > 0)
     or exists (select from public.customer_subscriptions where num_nonnulls(partner_id, referral_code, referral_source) > 0)
     or exists (select from public.ts_prediction_mapped where num_nonnulls(purchased_by_user_id, purchased_at) > 0)
  then
    raise exception 'somebody has written into the new columns since'
      using hint = 'nothing has changed; decide what becomes of the values, then empty the columns by hand or restore';
  end if;
end
$written$;
alter table public.ts_prediction_mapped
  drop constraint ts_prediction_mapped_buyer_fkey,
  drop column credit_cost,
  drop column purchased_by_user_id,
  drop column purchased_at;
alter table public.customer_subscriptions
  drop constraint customer_subscriptions_partner_fkey,
  drop column partner_id,
  drop column referral_code,
  drop column referral_source;
alter table public.customer_users
  drop column google_id,
  drop column apple_id,
  drop column username,
  drop column referral_code;

drop table public.scheduled_notifications;
drop table public.notification_templates;
drop table public.blog_posts;
drop table public.customer_daily_rewards;
drop table public.match_comment_likes;
drop table public.match_comments;
drop table public.partner_analytics;
drop table public.partners;
drop table public.referrals;
drop table public.customer_ad_views;
drop table public.customer_credit_transactions;
drop table public.customer_credits;
drop table public.customer_badges;
drop table public.badges;
drop table public.customer_xp_transactions;
drop table public.customer_xp;
drop table public.customer_oauth_identities;
