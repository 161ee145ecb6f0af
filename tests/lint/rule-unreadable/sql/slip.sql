insert into notes (id, text) values (1, 'a');
update notes set text = where id = 1; -- FINDS: sql-unreadable
