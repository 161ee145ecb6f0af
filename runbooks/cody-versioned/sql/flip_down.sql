update public.schema_versions set schema_version_is_current = false, schema_version_applied_at = null
where schema_version_is_current and schema_version_version = '1.1.0';

update public.schema_versions set schema_version_is_current = true
where schema_version_version = '1.0.0';
