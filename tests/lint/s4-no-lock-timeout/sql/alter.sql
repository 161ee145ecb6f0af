set lock_timeout = 0;   -- FINDS: sql-no-lock-timeout
alter table exports add column kind text;
