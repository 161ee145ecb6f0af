lock table drafts in access exclusive mode;
do $$ begin if exists (select from drafts) then raise exception 'drafts has rows'; end if; end $$;
drop table drafts;
