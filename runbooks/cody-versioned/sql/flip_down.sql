update public.schema_versions set schema_version_is_current = false, schema_version_applied_at = null
where schema_version_is_current and schema_version_version = '1.1.0';

update public.schema_versions set schema_version_is_current = true
where schema_version_version = '1.0.0';

select count(*) filter (where schema_version_is_current) as current,
       max(schema_version_version) filter (where schema_version_is_current) as version
from public.schema_versions
