-- 002: what every user begins with. Sent twice it does nothing the second time. One transaction, made by gonogo.

insert into public.customer_xp (customer_user_id)
select u.id from public.customer_users as u
on conflict (customer_user_id) do nothing;

insert into public.customer_credits (customer_user_id)
select u.id from public.customer_users as u
on conflict (customer_user_id) do nothing;

-- Fifty credits for everybody with an active VIP subscription, once, with the transaction that explains them.
with vips as (
  select distinct s.customer_user_id
  from public.customer_subscriptions as s
  where s.plan = 'vip' and s.status = 'active'
), granted as (
  insert into public.customer_credit_transactions (customer_user_id, amount, transaction_type, metadata)
  select v.customer_user_id, 50, 'promotional', '{"migration": true, "why": "vip welcome bonus"}'
  from vips as v
  where not exists (
    select from public.customer_credit_transactions as t
    where t.customer_user_id = v.customer_user_id and t.transaction_type = 'promotional' and t.metadata ->> 'migration' = 'true')
  returning customer_user_id, amount
)
update public.customer_credits as c set balance = c.balance + g.amount, updated_at = now()
from granted as g
where g.customer_user_id = c.customer_user_id;

insert into public.badges (slug, title, description) values
  ('first_referral', 'First referral', 'Brought a friend'),
  ('prediction_master', 'Prediction master', 'Ten right predictions in a row'),
  ('streak_7', 'Seven days', 'Came back seven days in a row'),
  ('first_comment', 'First comment', 'Wrote under a match'),
  ('vip_founder', 'Founder', 'Was a VIP when badges began')
on conflict (slug) do nothing;

insert into public.notification_templates (slug, title, body) values
  ('welcome', 'Welcome', 'Your account has levels and credits now.'),
  ('daily_reward', 'Your daily gift', 'Come and take it before midnight.'),
  ('vip_bonus', 'A bonus for you', 'Fifty credits are waiting.')
on conflict (slug) do nothing;

-- A code per user: GOAL- and six of 31 characters that nobody confuses. Equal codes get another one until there are none.
do $codes$
declare
  alphabet constant text := 'ABCDEFGHJKLMNPQRSTUVWXYZ2345678';
  salt integer := 0;
  left_over bigint;
begin
  loop
    update public.customer_users as u
    set referral_code = 'GOAL-' || (
      select string_agg(substr(alphabet, 1 + get_byte(decode(md5(u.id::text || salt), 'hex'), i) % 31, 1), '' order by i)
      from generate_series(0, 5) as i)
    where u.referral_code is null;
    update public.customer_users as u
    set referral_code = null
    from (select id, row_number() over (partition by referral_code order by id) as n from public.customer_users) as d
    where d.id = u.id and d.n > 1;
    select count(*) into left_over from public.customer_users where referral_code is null;
    exit when left_over = 0;
    salt := salt + 1;
    if salt > 20 then
      raise exception '% users have no code of their own after % rounds', left_over, salt;
    end if;
  end loop;
end
$codes$;
