-- Fills in pages; each page that is done makes the next one skip as many rows.
do $$
declare
  skipped int := 0;
begin
  while skipped < 10000 loop
    update orders set currency = 'EUR'
    where id in (select id from orders where currency is null limit 1000 offset skipped);   -- FINDS: sql-offset-batching
    skipped := skipped + 1000;
  end loop;
end $$;
