do $$
begin
  update orders set currency = 'EUR' where currency is null;
exception
  when others then   -- FINDS: sql-error-swallowed
    raise notice 'failed: %', sqlerrm;
end $$;
