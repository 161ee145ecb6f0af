-- First
update t set a = {{ nam }}; -- WRONG

commit; -- WRONG
