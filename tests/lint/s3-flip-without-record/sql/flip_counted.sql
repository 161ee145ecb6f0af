update versions set is_current = false where is_current;
update versions set is_current = true where version = 42;
