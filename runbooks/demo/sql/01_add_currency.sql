-- Orders get a currency. Everything so far was sold in euro.
alter table orders add column currency text not null default 'EUR';

-- The old rows are shown on screen, so that one can see they are there.
select currency, count(*) as orders from orders group by currency;
