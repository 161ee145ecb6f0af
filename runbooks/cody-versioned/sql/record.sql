-- The record of version 1.1.0, before anything is changed. Its text is exactly what the steps of this window send; a test
-- compares both. Sent twice, it stays one record.
insert into public.schema_versions
  (schema_version_version, schema_version_description, schema_version_up_sql, schema_version_is_current, schema_version_applied_at, schema_version_applied_by)
values (
  '1.1.0',
  'Add phone number to users, remove old address from organizations, check countries of profiles',
  $up$
alter table public.users add column user_phone_number varchar(50);
alter table public.users alter column user_login type varchar(100);
create schema cody_archive;
create table cody_archive.organization_old_address as
  select organization_id, organization_old_address from public.organizations where organization_old_address is not null;
alter table public.organizations drop column organization_old_address;
alter table public.user_profiles add constraint fk_user_profiles_country
  foreign key (user_profile_country_code) references public.countries (country_code) not valid;
alter table public.user_profiles validate constraint fk_user_profiles_country;
create index concurrently idx_users_phone on public.users (user_phone_number);
$up$,
  false, null, {{ run.operator }}
)
on conflict (schema_version_version) do update
  set schema_version_description = excluded.schema_version_description, schema_version_up_sql = excluded.schema_version_up_sql,
      schema_version_applied_by = excluded.schema_version_applied_by
  where not schema_versions.schema_version_is_current and schema_versions.schema_version_applied_at is null
