-- VIPs without exactly one bonus of fifty credits, and balances that their transactions do not explain.
with vips as (
  select distinct customer_user_id from public.customer_subscriptions where plan = 'vip' and status = 'active'
), bonus as (
  select customer_user_id, count(*) as n, sum(amount) as amount
  from public.customer_credit_transactions
  where transaction_type = 'promotional' and metadata ->> 'migration' = 'true'
  group by customer_user_id
)
select (select count(*) from vips as v left join bonus as b on b.customer_user_id = v.customer_user_id
        where b.n is distinct from 1 or b.amount is distinct from 50)
     + (select count(*) from bonus as b where not exists (select from vips as v where v.customer_user_id = b.customer_user_id))
     + (select count(*) from public.customer_credits as c
        where c.balance <> coalesce((select sum(t.amount) from public.customer_credit_transactions as t
                                     where t.customer_user_id = c.customer_user_id), 0)) as wrong,
       (select count(*) from vips) as vips,
       (select count(*) from bonus) as with_bonus
