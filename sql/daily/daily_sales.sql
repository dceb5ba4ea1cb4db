-- daily_sales: counted orders and their distinct customers by segment, region and country.
-- grain: (day, currency, customer_segment, region, country)   reads: order_change, delta_customer_sales_day   writes: delta_daily_sales, daily_sales
create or replace temp table delta_daily_sales as
with change as (
    select day, currency, customer_segment, region, country, sign as orders, 0 as customers, sign * units as units, sign * gross_cents as gross_cents,
           sign * discount_total_cents as discount_cents, sign * tax_cents as tax_cents, sign * shipping_cents as shipping_cents,
           sign * refunded_cents as refunded_cents, sign * net_cents as net_cents, sign * cost_cents as cost_cents,
           sign * units_without_cost as units_without_cost
    from order_change
    union all
    select day, currency, customer_segment, region, country, 0, (new_orders > 0)::int - (old_orders > 0)::int, 0, 0, 0, 0, 0, 0, 0, 0, 0
    from delta_customer_sales_day
    where (new_orders > 0) <> (old_orders > 0)
)
select day, currency, customer_segment, region, country, sum(orders) as orders, sum(customers) as customers, sum(units) as units,
       sum(gross_cents) as gross_cents, sum(discount_cents) as discount_cents, sum(tax_cents) as tax_cents, sum(shipping_cents) as shipping_cents,
       sum(refunded_cents) as refunded_cents, sum(net_cents) as net_cents, sum(cost_cents) as cost_cents, sum(units_without_cost) as units_without_cost
from change
group by day, currency, customer_segment, region, country
having sum(orders) <> 0 or sum(customers) <> 0 or sum(units) <> 0 or sum(gross_cents) <> 0 or sum(discount_cents) <> 0 or sum(tax_cents) <> 0
    or sum(shipping_cents) <> 0 or sum(refunded_cents) <> 0 or sum(net_cents) <> 0 or sum(cost_cents) <> 0 or sum(units_without_cost) <> 0;

merge into daily_sales as target
using delta_daily_sales as delta
on target.day = delta.day and target.currency = delta.currency and target.customer_segment = delta.customer_segment
   and target.region = delta.region and target.country = delta.country
when matched and target.orders + delta.orders = 0 then delete
when matched then update set
    orders = target.orders + delta.orders, customers = target.customers + delta.customers, units = target.units + delta.units,
    gross_cents = target.gross_cents + delta.gross_cents, discount_cents = target.discount_cents + delta.discount_cents,
    tax_cents = target.tax_cents + delta.tax_cents, shipping_cents = target.shipping_cents + delta.shipping_cents,
    refunded_cents = target.refunded_cents + delta.refunded_cents, net_cents = target.net_cents + delta.net_cents,
    cost_cents = target.cost_cents + delta.cost_cents, units_without_cost = target.units_without_cost + delta.units_without_cost
when not matched then insert by name;
