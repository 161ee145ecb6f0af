do $$
begin
  update t set a = 1 where a is null;
  commit;   -- FINDS: sql-hidden-commit
end $$;
create procedure fill_slowly() language plpgsql as $$
begin
  update t set a = 2 where a is null;
  commit;
end $$;
