create table t (id int); -- WRONG:1
