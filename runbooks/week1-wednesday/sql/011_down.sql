-- Undo of 011: the three tables as they were. One transaction, made by gonogo.
-- Not kept, because the old schema has no place for it: outcomes that were recorded since 011.
-- Rows that were added since 011 stay. The nine unused tables are not touched.

set local client_min_messages = warning;

do $guard$
begin
  if to_regclass('week1_undo.agent_trust_scores_unfilled') is null then
    raise exception 'nothing to undo: 011 has not been applied, or has been undone already'
      using hint = 'week1_undo.agent_trust_scores_unfilled is not there';
  end if;
end
$guard$;

lock table public.workspaces, public.users, public.agents, public.campaigns in access exclusive mode;
lock table public.agent_recommendations, public.agent_trust_scores, public.competitors in access exclusive mode;

-- competitors

drop policy if exists competitors_member_write on public.competitors;
drop policy if exists competitors_member_read on public.competitors;

alter table public.competitors
  disable row level security,
  drop constraint if exists competitors_created_by_fkey,
  drop constraint if exists competitors_workspace_id_fkey,
  drop constraint if exists competitors_workspace_id_name_key,
  drop column if exists workspace_id;

alter table public.competitors alter column strengths type text using array_to_string(strengths, ',');
alter table public.competitors rename column created_by to user_id;
alter table public.competitors add constraint competitors_user_id_name_key unique (user_id, name);

create policy competitors_owner on public.competitors
  using (user_id = nullif(current_setting('app.user_id', true), '')::uuid);

-- agent_trust_scores

drop policy if exists agent_trust_scores_member_read on public.agent_trust_scores;
drop index if exists public.agent_trust_scores_workspace_id_idx;

alter table public.agent_trust_scores
  disable row level security,
  drop constraint if exists agent_trust_scores_scored_by_fkey,
  drop constraint if exists agent_trust_scores_agent_id_fkey,
  drop constraint if exists agent_trust_scores_workspace_id_fkey,
  alter column workspace_id drop not null;

update public.agent_trust_scores as s
set workspace_id = null
from week1_undo.agent_trust_scores_unfilled as u
where u.id = s.id;

drop table week1_undo.agent_trust_scores_unfilled;
drop schema week1_undo;

-- agent_recommendations

drop policy if exists agent_recommendations_member_update on public.agent_recommendations;
drop policy if exists agent_recommendations_member_read on public.agent_recommendations;
drop index if exists public.agent_recommendations_workspace_id_idx;

alter table public.agent_recommendations
  disable row level security,
  drop constraint if exists agent_recommendations_campaign_id_fkey,
  drop constraint if exists agent_recommendations_agent_id_fkey,
  drop constraint if exists agent_recommendations_workspace_id_fkey,
  drop constraint if exists agent_recommendations_outcome_quality_score_check,
  drop constraint if exists agent_recommendations_outcome_status_check,
  drop column if exists outcome_quality_score,
  drop column if exists outcome_status,
  drop column if exists workspace_id;
