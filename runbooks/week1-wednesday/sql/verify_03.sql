-- Set 1 of 5, schema conflicts fixed (3 of 4): competitors has the agreed definition. Expected: 3
-- = three columns of the right type, minus one if the old user_id is still there.
select count(*) filter (where (c.column_name = 'workspace_id' and c.data_type = 'uuid' and c.is_nullable = 'NO')
                           or (c.column_name = 'created_by' and c.data_type = 'uuid' and c.is_nullable = 'NO')
                           or (c.column_name = 'strengths' and c.udt_name = '_text'))
       - count(*) filter (where c.column_name = 'user_id') as agreed_columns,
       string_agg(c.column_name || ' ' || c.udt_name, ', ' order by c.ordinal_position) as definition
from information_schema.columns as c
where c.table_schema = 'public'
  and c.table_name = 'competitors'
