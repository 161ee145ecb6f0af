-- First step of the rollback plan 'restore'. pg_restore --clean can only drop what the backup knows. The eight foreign keys
-- and five policies of 011 are not in it, and they would stop it from dropping the tables that they refer to.
-- One transaction, made by gonogo. Safe in every state between the backup and now.
-- Should the restore then fail, it changes nothing, and 011, which is safe to run again, puts back what this file removes.

set local client_min_messages = warning;

drop policy if exists agent_recommendations_member_read on public.agent_recommendations;
drop policy if exists agent_recommendations_member_update on public.agent_recommendations;
drop policy if exists agent_trust_scores_member_read on public.agent_trust_scores;
drop policy if exists competitors_member_read on public.competitors;
drop policy if exists competitors_member_write on public.competitors;

alter table if exists public.agent_recommendations
  drop constraint if exists agent_recommendations_workspace_id_fkey,
  drop constraint if exists agent_recommendations_agent_id_fkey,
  drop constraint if exists agent_recommendations_campaign_id_fkey;
alter table if exists public.agent_trust_scores
  drop constraint if exists agent_trust_scores_workspace_id_fkey,
  drop constraint if exists agent_trust_scores_agent_id_fkey,
  drop constraint if exists agent_trust_scores_scored_by_fkey;
alter table if exists public.competitors
  drop constraint if exists competitors_workspace_id_fkey,
  drop constraint if exists competitors_created_by_fkey;
