-- 1.1.0 taken back, with the values of the dropped column. Logins that have become longer than 50 characters stop it.
-- So does a telephone number that somebody has entered since.
lock table public.users in access exclusive mode;
do $entered$
begin
  if exists (select from public.users where user_phone_number is not null) then
    raise exception 'telephone numbers were entered since 1.1.0'
      using hint = 'nothing has changed; keep them somewhere, then empty the column by hand or restore';
  end if;
end
$entered$;

alter table public.user_profiles drop constraint fk_user_profiles_country;
alter table public.organizations add column organization_old_address text;
update public.organizations as o set organization_old_address = a.organization_old_address
from cody_archive.organization_old_address as a where a.organization_id = o.organization_id;
drop table cody_archive.organization_old_address;
drop schema cody_archive;
alter table public.users alter column user_login type varchar(50);
alter table public.users drop column user_phone_number;
