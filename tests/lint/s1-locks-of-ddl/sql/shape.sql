alter table users add column tier text not null;   -- FINDS: squawk-adding-required-field
alter table users add column nick text not null default '';   -- FINDS: sql-empty-default
alter table users alter column email set not null;   -- FINDS: squawk-adding-not-nullable-field
create table results (id bigint primary key, day date, variant text, unique (day, variant));
create index results_day_variant_idx on results (day, variant);   -- FINDS: sql-redundant-index
