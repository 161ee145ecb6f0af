-- Set 1 of 5, schema conflicts fixed (2 of 4): trust scores without the right workspace. Expected: 0.
-- Filled is not enough: it must be the workspace of the agent. NULL when the table is empty.
select case when count(*) > 0 then count(*) filter (where s.workspace_id is distinct from a.workspace_id or a.id is null) end as wrong_or_unfilled,
       count(s.workspace_id) as filled,
       count(*) as total
from public.agent_trust_scores as s
left join public.agents as a on a.id = s.agent_id
