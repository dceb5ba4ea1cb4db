-- order_change: what the batch changes among counted orders, as signed rows: -1 a row as it was, 1 a row as it is now.
-- grain: (day, order_id, sign)   reads: stored_order, batch_order, tombstone   writes: order_change, uncounted_order
create or replace temp table uncounted_order as
select s.day, s.order_id, s.stored_rowid
from stored_order as s
join tombstone as t on t.stream = 'orders' and t.id = s.order_id
where s.counted and (s.updated_at, s."offset", s.partition) <= (t.updated_at, t."offset", t.partition);

create or replace temp table order_change as
select -1 as sign, day, hour, order_id, customer_id, currency,
       coalesce(customer_segment, '(none)') as customer_segment, coalesce(region, '(none)') as region, coalesce(country, '(none)') as country,
       coalesce(state, '(none)') as state, coalesce(city, '(none)') as city,
       units, gross_cents, discount_total_cents, tax_cents, shipping_cents, refunded_cents, net_cents, cost_cents, units_without_cost
from stored_order as s
where s.counted
  and (exists (select 1 from batch_order as b where b.day = s.day and b.order_id = s.order_id)
       or exists (select 1 from uncounted_order as u where u.stored_rowid = s.stored_rowid))
union all
select 1, day, hour, order_id, customer_id, currency,
       coalesce(customer_segment, '(none)'), coalesce(region, '(none)'), coalesce(country, '(none)'), coalesce(state, '(none)'), coalesce(city, '(none)'),
       units, gross_cents, discount_total_cents, tax_cents, shipping_cents, refunded_cents, net_cents, cost_cents, units_without_cost
from batch_order
where counted;
