alter table exports rename to exports_old;   -- FINDS: sql-copy-then-rename
alter table exports_new rename to exports;
