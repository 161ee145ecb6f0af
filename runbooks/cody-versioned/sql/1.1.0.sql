alter table public.users add column user_phone_number varchar(50);
alter table public.users alter column user_login type varchar(100);
create schema cody_archive;
create table cody_archive.organization_old_address as
  select organization_id, organization_old_address from public.organizations where organization_old_address is not null;
alter table public.organizations drop column organization_old_address;
alter table public.user_profiles add constraint fk_user_profiles_country
  foreign key (user_profile_country_code) references public.countries (country_code) not valid;
