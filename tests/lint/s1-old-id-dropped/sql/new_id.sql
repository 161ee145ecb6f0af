alter table users add column new_id uuid;
update users set new_id = id::uuid where new_id is null;   -- FINDS: sql-unguarded-cast
alter table users drop column id;   -- FINDS: sql-add-and-drop
alter table users rename column new_id to id;
