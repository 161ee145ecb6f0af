\set name users -- WRONG
create table users (id int);
