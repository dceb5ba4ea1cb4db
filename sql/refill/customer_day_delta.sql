-- customer_day_delta: what filling days anew has changed of customers' activity, for their first days.
-- grain: (day, customer_id)   reads: old_customer_day, customer_day, refill_day   writes: delta_customer_day   parameters: first, last
insert into delta_customer_day by name
select coalesce(n.day, o.day) as day, coalesce(n.customer_id, o.customer_id) as customer_id,
       coalesce(o.touchpoints, 0) as old_touchpoints, coalesce(o.orders, 0) as old_orders,
       coalesce(n.touchpoints, 0) as new_touchpoints, coalesce(n.orders + n.orders_other_currency, 0) as new_orders
from (from customer_day where day between $first and $last and day in (select day from refill_day)) as n
full join old_customer_day as o on o.day = n.day and o.customer_id = n.customer_id
where (coalesce(o.touchpoints, 0) > 0, coalesce(o.orders, 0) > 0)
      <> (coalesce(n.touchpoints, 0) > 0, coalesce(n.orders + n.orders_other_currency, 0) > 0);
