-- 012: remove the nine unused tables (gamification, tech tree, half-built features).
-- gonogo runs the whole file in ONE transaction, so there is no BEGIN or COMMIT here. Safe to run again.
-- Their rows are first copied to the schema week1_archive. 012_down.sql puts them back and drops it.
-- Counts after this file: 43 tables, 0 conflicts, 0 unused, 42 foreign keys (46 - 4), 18 policies (20 - 2).

set local client_min_messages = warning;

-- Lock, then copy: a row that is written between the copy and the drop would be lost.
-- Dropping move_decisions also locks moves, which its foreign key points to, so moves comes first.

create schema if not exists week1_archive;

do $archive$
declare
  unused constant text[] := array[
    'quest_moves', 'quest_milestones', 'quests',
    'maneuver_prerequisites', 'capability_nodes',
    'quick_wins', 'cohort_relations', 'move_decisions', 'notifications'];
  present text[];
  one text;
begin
  select coalesce(array_agg(u.name order by u.position), '{}') into present
  from unnest(unused) with ordinality as u (name, position)
  where to_regclass(format('public.%I', u.name)) is not null;

  if 'move_decisions' = any (present) then
    lock table public.moves in access exclusive mode;
  end if;

  foreach one in array present loop
    if to_regclass(format('week1_archive.%I', one)) is not null then
      raise exception 'week1_archive.% already exists, and so does public.%', one, one
        using hint = 'A copy of an earlier attempt is there. Compare both, then drop the one that is wrong.';
    end if;
    execute format('lock table public.%I in access exclusive mode', one);
  end loop;

  foreach one in array present loop
    execute format('create table week1_archive.%I as table public.%I', one, one);
  end loop;

  if 'notifications' = any (present) then
    create table week1_archive.notifications_id_seq as
      select last_value, is_called from public.notifications_id_seq;
  end if;
end
$archive$;

-- Children before parents. No CASCADE: if something else depends on a table, the drop must fail.

drop table if exists public.quest_moves;
drop table if exists public.quest_milestones;
drop table if exists public.quests;
drop table if exists public.maneuver_prerequisites;
drop table if exists public.capability_nodes;
drop table if exists public.quick_wins;
drop table if exists public.cohort_relations;
drop table if exists public.move_decisions;
drop table if exists public.notifications;
