-- Set 3 of 5, core tables intact (1 of 3): the 43 expected tables, each by its name, minus every other one. Expected: 43.
with core (name) as (
  select unnest(array[
    'workspaces', 'users', 'workspace_members', 'plans', 'subscriptions', 'invoices', 'agents', 'agent_runs', 'agent_messages',
    'campaigns', 'campaign_goals', 'campaign_budgets', 'channels', 'campaign_channels', 'maneuver_types', 'moves', 'move_steps',
    'move_comments', 'assets', 'asset_versions', 'cohorts', 'cohort_members', 'contacts', 'contact_events', 'icps', 'personas',
    'positioning_statements', 'message_templates', 'experiments', 'experiment_variants', 'metric_definitions', 'metric_values',
    'integrations', 'webhooks', 'webhook_deliveries', 'audit_events', 'feature_flags', 'api_keys', 'media_files', 'app_settings',
    'agent_recommendations', 'agent_trust_scores', 'competitors'])
), present (name) as (
  select t.table_name::text
  from information_schema.tables as t
  where t.table_schema = 'public' and t.table_type = 'BASE TABLE'
)
select count(*) filter (where c.name is not null and p.name is not null)
       - count(*) filter (where c.name is null) as right_tables,
       string_agg(c.name, ', ' order by c.name) filter (where p.name is null) as missing,
       string_agg(p.name, ', ' order by p.name) filter (where c.name is null) as unexpected
from core as c
full join present as p on p.name = c.name
