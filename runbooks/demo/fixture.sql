-- The shop before the window: what the demo's service needs to take orders.
create table orders (
  id           integer primary key,
  customer     text not null,
  amount_cents integer not null,
  placed_at    text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
);

with recursive n(i) as (select 1 union all select i + 1 from n where i < 500)
insert into orders (customer, amount_cents)
select 'customer ' || (i % 40), 500 + (i * 37) % 9000 from n;
