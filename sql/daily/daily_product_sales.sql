-- daily_product_sales: lines of counted orders by product; an order counts once for each of its products.
-- grain: (day, currency, product_id)   reads: order_item_change   writes: delta_daily_product_sales, daily_product_sales
create or replace temp table delta_daily_product_sales as
with by_order as (
    select sign, day, currency, product_id, order_id, sum(quantity) as units, sum(gross_cents) as gross_cents,
           sum(sales_cents) as sales_cents, sum(cost_cents) as cost_cents
    from order_item_change
    group by sign, day, currency, product_id, order_id
)
select day, currency, product_id, sum(sign) as orders, sum(sign * units) as units, sum(sign * gross_cents) as gross_cents,
       sum(sign * sales_cents) as sales_cents, sum(sign * cost_cents) as cost_cents
from by_order
group by day, currency, product_id
having sum(sign) <> 0 or sum(sign * units) <> 0 or sum(sign * gross_cents) <> 0 or sum(sign * sales_cents) <> 0 or sum(sign * cost_cents) <> 0;

merge into daily_product_sales as target
using delta_daily_product_sales as delta
on target.day = delta.day and target.currency = delta.currency and target.product_id = delta.product_id
when matched and target.orders + delta.orders = 0 then delete
when matched then update set
    orders = target.orders + delta.orders, units = target.units + delta.units, gross_cents = target.gross_cents + delta.gross_cents,
    sales_cents = target.sales_cents + delta.sales_cents, cost_cents = target.cost_cents + delta.cost_cents
when not matched then insert by name;
