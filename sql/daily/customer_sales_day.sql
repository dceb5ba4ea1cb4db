-- customer_sales_day: each customer's counted orders of a day by the keys of daily_sales.
-- grain: (day, currency, customer_segment, region, country, customer_id)   reads: order_change   writes: delta_customer_sales_day, customer_sales_day
create or replace temp table delta_customer_sales_day as
with delta as (
    select day, currency, customer_segment, region, country, customer_id, sum(sign) as orders, sum(sign * units) as units, sum(sign * net_cents) as net_cents
    from order_change group by day, currency, customer_segment, region, country, customer_id
)
select delta.*, t.rowid as stored_rowid, coalesce(t.orders, 0) as old_orders, old_orders + delta.orders as new_orders
from delta
left join customer_sales_day as t
on t.day = delta.day and t.currency = delta.currency and t.customer_segment = delta.customer_segment and t.region = delta.region
   and t.country = delta.country and t.customer_id = delta.customer_id;

merge into customer_sales_day as target
using delta_customer_sales_day as delta
on target.rowid = delta.stored_rowid
when matched and delta.new_orders = 0 then delete
when matched then update set orders = target.orders + delta.orders, units = target.units + delta.units, net_cents = target.net_cents + delta.net_cents
when not matched and delta.new_orders > 0 then insert (day, currency, customer_segment, region, country, customer_id, orders, units, net_cents)
    values (delta.day, delta.currency, delta.customer_segment, delta.region, delta.country, delta.customer_id, delta.orders, delta.units, delta.net_cents);
