-- The record goes, as long as it is not current; and its number is given again.
delete from public.schema_versions where schema_version_version = '1.1.0' and not schema_version_is_current;
select setval(pg_get_serial_sequence('public.schema_versions', 'schema_version_id'),
              (select max(schema_version_id) from public.schema_versions));
