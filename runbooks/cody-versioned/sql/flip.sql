-- 1.1.0 becomes the current version. Without its record, or with another number of current versions than one, nothing changes.
update public.schema_versions set schema_version_is_current = false
where schema_version_is_current and schema_version_version = '1.0.0';

update public.schema_versions set schema_version_is_current = true, schema_version_applied_at = now()
where schema_version_version = '1.1.0';

select count(*) filter (where schema_version_is_current) as current,
       max(schema_version_version) filter (where schema_version_is_current) as version
from public.schema_versions
