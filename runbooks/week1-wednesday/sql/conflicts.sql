-- How many of the three tables still have the old definition: 3 before, 0 after.
-- NULL (never 0) when one of the tables is not there at all.
with tables (name) as (
  values ('agent_recommendations'), ('agent_trust_scores'), ('competitors')
), found as (
  select t.name,
         to_regclass('public.' || t.name) is not null as there,
         count(*) filter (where c.column_name = 'workspace_id' and c.is_nullable = 'NO') as workspace,
         count(*) filter (where c.column_name in ('outcome_status', 'outcome_quality_score')) as outcomes,
         count(*) filter (where c.column_name = 'user_id' or (c.column_name = 'strengths' and c.data_type <> 'ARRAY')) as leftovers
  from tables as t
  left join information_schema.columns as c on c.table_schema = 'public' and c.table_name = t.name
  group by t.name
), judged as (
  select name, there,
         case name
           when 'agent_recommendations' then workspace + outcomes < 3
           when 'agent_trust_scores' then workspace < 1
           else workspace < 1 or leftovers > 0
         end as conflicting
  from found
)
select case when bool_and(there) then count(*) filter (where conflicting) end as conflicts,
       string_agg(name, ', ' order by name) filter (where conflicting) as in_tables
from judged
