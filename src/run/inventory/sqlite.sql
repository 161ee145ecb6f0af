-- The inventory of a file, one line per object: kind, name, detail. What SQLite and gonogo keep for themselves is left out.
select kind, name, detail from (
  select type as kind, name, coalesce(sql, '') as detail from sqlite_master
  where type <> 'table' and name not like 'sqlite\_%' escape '\' and tbl_name not like 'gonogo\_%' escape '\'
  union all
  select 'table', name, '' from sqlite_master
  where type = 'table' and name not like 'sqlite\_%' escape '\' and name not like 'gonogo\_%' escape '\'
  union all
  select 'column', m.name || '.' || c.name,
         c.type || case when c."notnull" then ' not null' else '' end || coalesce(' default ' || c.dflt_value, '') || case when c.pk then ' primary key' else '' end
  from sqlite_master as m, pragma_table_xinfo(m.name) as c
  where m.type = 'table' and m.name not like 'sqlite\_%' escape '\' and m.name not like 'gonogo\_%' escape '\'
)
order by kind, name, detail
