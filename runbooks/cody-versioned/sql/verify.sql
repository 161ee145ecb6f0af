-- What 1.1.0 promises, each as true or false; the value counts what does not hold.
with promise as (
  select 'the new column is there' as what, exists (
    select from information_schema.columns
    where table_schema = 'public' and table_name = 'users' and column_name = 'user_phone_number'
      and data_type = 'character varying' and character_maximum_length = 50) as holds
  union all
  select 'the old column is gone', not exists (
    select from information_schema.columns
    where table_schema = 'public' and table_name = 'organizations' and column_name = 'organization_old_address')
  union all
  select 'logins may have 100 characters', exists (
    select from information_schema.columns
    where table_schema = 'public' and table_name = 'users' and column_name = 'user_login' and character_maximum_length = 100)
  union all
  select 'the index is there and valid', exists (
    select from pg_catalog.pg_index as i
    where i.indexrelid = to_regclass('public.idx_users_phone') and i.indisvalid)
  union all
  select 'the key to countries is proven', exists (
    select from pg_catalog.pg_constraint as k
    where k.conname = 'fk_user_profiles_country' and k.conrelid = 'public.user_profiles'::regclass and k.convalidated)
)
select count(*) filter (where not holds) as broken,
       coalesce(string_agg(what, ', ') filter (where not holds), 'nothing') as which,
       count(*) as asked
from promise
