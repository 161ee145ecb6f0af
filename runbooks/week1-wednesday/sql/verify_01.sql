-- Set 1 of 5, schema conflicts fixed (1 of 4): the three new columns of agent_recommendations. Expected: 3.
select count(*) as column_count,
       string_agg(c.column_name, ', ' order by c.column_name) as columns
from information_schema.columns as c
where c.table_schema = 'public'
  and c.table_name = 'agent_recommendations'
  and c.column_name in ('workspace_id', 'outcome_status', 'outcome_quality_score')
