-- Last change of the rollback plan 'restore': the notes and the archive of 011 and 012 belong to a state that is gone.
-- If they stayed, the next attempt would refuse to overwrite them. One transaction, made by gonogo. No CASCADE:
-- whatever else somebody has put into these schemas stops it.

set local client_min_messages = warning;

drop table if exists week1_undo.agent_trust_scores_unfilled;
drop schema if exists week1_undo;

drop table if exists week1_archive.quest_moves;
drop table if exists week1_archive.quest_milestones;
drop table if exists week1_archive.quests;
drop table if exists week1_archive.maneuver_prerequisites;
drop table if exists week1_archive.capability_nodes;
drop table if exists week1_archive.quick_wins;
drop table if exists week1_archive.cohort_relations;
drop table if exists week1_archive.move_decisions;
drop table if exists week1_archive.notifications;
drop table if exists week1_archive.notifications_id_seq;
drop schema if exists week1_archive;
