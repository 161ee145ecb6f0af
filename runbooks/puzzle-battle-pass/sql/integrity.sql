-- S1.7 S1.37 S1.39 S1.40 S1.41: the three questions of the document's integrity script, which it defines and never calls.
-- Expected: 0. Also true where a foreign key or a unique index was dropped, or was never validated.
select o.orphans + d.duplicates + s.bad_status as problems, o.orphans, d.duplicates, s.bad_status
from (select count(*) as orphans
      from public.user_puzzle_completions as c
      left join public.users as u on u.id = c.user_id
      left join public.daily_puzzles as p on p.id = c.puzzle_id
      where u.id is null or p.id is null) as o,
     (select count(*) as duplicates
      from (select from public.daily_puzzles group by puzzle_date, variant, difficulty having count(*) > 1) as twice) as d,
     -- The document's NOT IN lets a premium user without any status pass: NULL is not in nothing either.
     (select count(*) as bad_status
      from public.users
      where subscription_tier = 'premium'
        and coalesce(subscription_status, '') not in ('active', 'past_due', 'canceled')) as s;
