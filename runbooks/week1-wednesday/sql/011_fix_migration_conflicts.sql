-- 011: resolve the three schema conflicts.
-- gonogo runs the whole file in ONE transaction, so there is no BEGIN or COMMIT here. Safe to run again.
--
--                     before   after 011   after 012
--   base tables           52          52          43
--   schema conflicts       3           0           0
--   unused tables          9           9           0
--   foreign keys          38          46          42   011 adds 8, the nine tables own 4
--   policies              16          20          18   011 drops 1 and creates 5, the nine tables own 2
--
-- Undo: 011_down.sql gives back the exact schema and, for rows that existed before, the exact values.
-- The schema week1_undo remembers which trust scores this file has filled. 011_down.sql reads and drops it.

-- Notices of 'if exists' are noise. What still arrives is a warning, and the runbook demands zero of them.
set local client_min_messages = warning;

-- All locks first, parents before children, always in this order: a lock that is raised in the middle is how
-- deadlocks happen. If a lock is not free within lock_timeout, nothing has changed yet.
lock table public.workspaces, public.users, public.agents, public.campaigns in share row exclusive mode;
lock table public.agent_recommendations, public.agent_trust_scores, public.competitors in access exclusive mode;

-- Conflict 1: agent_recommendations gets its three columns.

alter table public.agent_recommendations
  add column if not exists workspace_id uuid,
  add column if not exists outcome_status text not null default 'pending',
  add column if not exists outcome_quality_score numeric(4, 3);

update public.agent_recommendations as r
set workspace_id = a.workspace_id
from public.agents as a
where a.id = r.agent_id
  and r.workspace_id is null;

-- SET NOT NULL reads the table, and refuses if a row has no agent: then all of 011 is rolled back.
alter table public.agent_recommendations
  alter column workspace_id set not null,
  drop constraint if exists agent_recommendations_outcome_status_check,
  add constraint agent_recommendations_outcome_status_check
    check (outcome_status in ('pending', 'accepted', 'rejected', 'expired')),
  drop constraint if exists agent_recommendations_outcome_quality_score_check,
  add constraint agent_recommendations_outcome_quality_score_check
    check (outcome_quality_score between 0 and 1),
  drop constraint if exists agent_recommendations_workspace_id_fkey,
  add constraint agent_recommendations_workspace_id_fkey foreign key (workspace_id) references public.workspaces (id),
  drop constraint if exists agent_recommendations_agent_id_fkey,
  add constraint agent_recommendations_agent_id_fkey foreign key (agent_id) references public.agents (id),
  drop constraint if exists agent_recommendations_campaign_id_fkey,
  add constraint agent_recommendations_campaign_id_fkey foreign key (campaign_id) references public.campaigns (id);

create index if not exists agent_recommendations_workspace_id_idx on public.agent_recommendations (workspace_id);

-- Conflict 2: every trust score belongs to the workspace of its agent.

create schema if not exists week1_undo;
create table if not exists week1_undo.agent_trust_scores_unfilled (id bigint primary key);

insert into week1_undo.agent_trust_scores_unfilled (id)
select s.id from public.agent_trust_scores as s where s.workspace_id is null
on conflict (id) do nothing;

update public.agent_trust_scores as s
set workspace_id = a.workspace_id
from public.agents as a
where a.id = s.agent_id
  and s.workspace_id is null;

alter table public.agent_trust_scores
  alter column workspace_id set not null,
  drop constraint if exists agent_trust_scores_workspace_id_fkey,
  add constraint agent_trust_scores_workspace_id_fkey foreign key (workspace_id) references public.workspaces (id),
  drop constraint if exists agent_trust_scores_agent_id_fkey,
  add constraint agent_trust_scores_agent_id_fkey foreign key (agent_id) references public.agents (id),
  drop constraint if exists agent_trust_scores_scored_by_fkey,
  add constraint agent_trust_scores_scored_by_fkey foreign key (scored_by) references public.users (id);

create index if not exists agent_trust_scores_workspace_id_idx on public.agent_trust_scores (workspace_id);

-- Conflict 3: competitors belong to a workspace. The user becomes 'created_by', the text with commas an array.
-- Text to array and back is exact for every text, also for an empty one and for spaces after a comma.

do $competitors$
begin
  if exists (select from pg_catalog.pg_attribute
             where attrelid = 'public.competitors'::regclass and attname = 'user_id' and not attisdropped) then
    alter table public.competitors rename column user_id to created_by;
  end if;
  if exists (select from pg_catalog.pg_attribute
             where attrelid = 'public.competitors'::regclass and attname = 'strengths' and atttypid = 'text'::regtype) then
    alter table public.competitors alter column strengths type text[] using string_to_array(strengths, ',');
  end if;
end
$competitors$;

alter table public.competitors
  add column if not exists workspace_id uuid;

update public.competitors as c
set workspace_id = u.workspace_id
from public.users as u
where u.id = c.created_by
  and c.workspace_id is null;

alter table public.competitors
  alter column workspace_id set not null,
  drop constraint if exists competitors_user_id_name_key,
  drop constraint if exists competitors_workspace_id_name_key,
  add constraint competitors_workspace_id_name_key unique (workspace_id, name),
  drop constraint if exists competitors_workspace_id_fkey,
  add constraint competitors_workspace_id_fkey foreign key (workspace_id) references public.workspaces (id),
  drop constraint if exists competitors_created_by_fkey,
  add constraint competitors_created_by_fkey foreign key (created_by) references public.users (id);

-- Row-level security: members read and write what is in their workspace, trust scores are for reading only.

alter table public.agent_recommendations enable row level security;
alter table public.agent_trust_scores enable row level security;
alter table public.competitors enable row level security;

drop policy if exists agent_recommendations_member_read on public.agent_recommendations;
create policy agent_recommendations_member_read on public.agent_recommendations for select
  using (workspace_id in (select m.workspace_id from public.workspace_members as m
                          where m.user_id = nullif(current_setting('app.user_id', true), '')::uuid));

drop policy if exists agent_recommendations_member_update on public.agent_recommendations;
create policy agent_recommendations_member_update on public.agent_recommendations for update
  using (workspace_id in (select m.workspace_id from public.workspace_members as m
                          where m.user_id = nullif(current_setting('app.user_id', true), '')::uuid));

drop policy if exists agent_trust_scores_member_read on public.agent_trust_scores;
create policy agent_trust_scores_member_read on public.agent_trust_scores for select
  using (workspace_id in (select m.workspace_id from public.workspace_members as m
                          where m.user_id = nullif(current_setting('app.user_id', true), '')::uuid));

drop policy if exists competitors_owner on public.competitors;
drop policy if exists competitors_member_read on public.competitors;
create policy competitors_member_read on public.competitors for select
  using (workspace_id in (select m.workspace_id from public.workspace_members as m
                          where m.user_id = nullif(current_setting('app.user_id', true), '')::uuid));

drop policy if exists competitors_member_write on public.competitors;
create policy competitors_member_write on public.competitors
  using (workspace_id in (select m.workspace_id from public.workspace_members as m
                          where m.user_id = nullif(current_setting('app.user_id', true), '')::uuid));
