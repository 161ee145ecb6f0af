-- S1.7 S1.27 S1.37: users whose number is not what the completions say, in one look at both tables. Expected: 0.
select count(*) as wrong,
       (select count(*) from public.users) as users
from public.users as u
left join (select user_id, count(*) as solved from public.user_puzzle_completions group by user_id) as c on c.user_id = u.id
where u.total_puzzles_completed is distinct from coalesce(c.solved, 0);
