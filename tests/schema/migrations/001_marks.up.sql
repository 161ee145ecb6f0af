create table marks (id bigint primary key);
