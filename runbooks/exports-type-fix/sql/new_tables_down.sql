-- Taken back while they are still empty; a row in one of them stops it.
do $empty$
begin
  if exists (select from public."bazaar-vid_promo_codes") or exists (select from public."bazaar-vid_promo_code_usage")
     or exists (select from public."bazaar-vid_paywall_events") or exists (select from public."bazaar-vid_paywall_analytics")
  then
    raise exception 'one of the four new tables holds rows already'
      using hint = 'nothing has changed; decide what becomes of the rows';
  end if;
end
$empty$;

drop table public."bazaar-vid_paywall_analytics";
drop table public."bazaar-vid_paywall_events";
drop table public."bazaar-vid_promo_code_usage";
drop table public."bazaar-vid_promo_codes";
