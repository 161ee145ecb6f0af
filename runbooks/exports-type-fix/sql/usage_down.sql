-- The duplicate table comes back, and the rows that were moved out of it leave the other one.

alter table exports_archive.api_usage_metric set schema public;

delete from public."bazaar-vid_api_usage_metric" as b
using exports_archive.moved_usage as m
where (b.id, b.route, b.took_ms, b.at) is not distinct from (m.id, m.route, m.took_ms, m.at);

drop table exports_archive.moved_usage;
drop schema exports_archive;
