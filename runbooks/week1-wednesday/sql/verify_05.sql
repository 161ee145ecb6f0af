-- Set 2 of 5, unused tables removed (1 of 1): how many of the nine names are still there. Expected: 0.
-- NULL when there is no table at all in public: nothing would have been looked at.
select case when count(*) > 0 then count(*) filter (where t.table_name in (
         'quests', 'quest_moves', 'quest_milestones', 'capability_nodes', 'maneuver_prerequisites',
         'quick_wins', 'cohort_relations', 'move_decisions', 'notifications')) end as unused_tables,
       count(*) as tables_looked_at
from information_schema.tables as t
where t.table_schema = 'public'
  and t.table_type = 'BASE TABLE'
