set lock_timeout = '3s';
create table c (id bigint primary key, d int);

update a set b = 2; -- FINDS: sql-update-without-where
