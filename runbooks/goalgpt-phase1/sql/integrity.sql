-- Everything that must not be: users without points or credits, twice, or without a code; rows that point to nobody.
select (select count(*) from public.customer_users as u where not exists (select from public.customer_xp as x where x.customer_user_id = u.id)) as without_xp,
       (select count(*) from public.customer_users as u where not exists (select from public.customer_credits as c where c.customer_user_id = u.id)) as without_credits,
       (select count(*) from public.customer_xp as x where not exists (select from public.customer_users as u where u.id = x.customer_user_id))
     + (select count(*) from public.customer_credits as c where not exists (select from public.customer_users as u where u.id = c.customer_user_id)) as orphans,
       (select count(*) - count(distinct customer_user_id) from public.customer_xp)
     + (select count(*) - count(distinct customer_user_id) from public.customer_credits) as doubled,
       (select count(*) from public.customer_users where referral_code is null or referral_code !~ '^GOAL-[A-Z2-9]{6}$')
     + (select count(*) - count(distinct referral_code) from public.customer_users) as codes_wrong
