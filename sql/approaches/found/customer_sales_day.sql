-- customer_sales_day: its rows that this commit changed or deleted.
-- reads: delta_customer_sales_day
select day, currency, customer_segment, region, country, customer_id, old_orders, cast(units as bigint) as units, net_cents
from delta_customer_sales_day
where old_orders > 0
