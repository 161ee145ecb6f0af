create index a_b_idx on a (b);   -- FINDS: squawk-require-concurrent-index-creation
drop index c_idx;   -- FINDS: squawk-require-concurrent-index-deletion
alter table a add constraint a_b_fkey foreign key (b) references b (id);   -- FINDS: squawk-adding-foreign-key-constraint
alter table a add constraint a_pos check (b > 0);   -- FINDS: squawk-constraint-missing-not-valid
alter table a add column made_at timestamptz default clock_timestamp();   -- FINDS: squawk-adding-field-with-default
alter table a add column id serial primary key;   -- FINDS: squawk-adding-serial-primary-key-field
alter table a add constraint a_d_key unique (d);   -- FINDS: squawk-disallowed-unique-constraint
reindex table a;   -- FINDS: squawk-require-concurrent-reindex
alter table measures detach partition measures_2023;   -- FINDS: squawk-require-concurrent-partition-detach
update a set b = 1, b = 2 where id = 3;   -- FINDS: squawk-ban-duplicate-column-assignments
create table this_name_is_longer_than_sixty_three_bytes_and_will_be_cut_by_the_server (a int);   -- FINDS: squawk-identifier-too-long
-- squawk-ignore require-concurrent-index-creation
create index a_c_idx on a (c);   -- FINDS: squawk-require-concurrent-index-creation
