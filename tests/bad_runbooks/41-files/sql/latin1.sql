-- one
select 'café';
