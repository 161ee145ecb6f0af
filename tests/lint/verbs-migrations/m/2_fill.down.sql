delete from a; -- FINDS: sql-update-without-where
