-- daily_category: lines of counted orders by category; an order counts once in each of its categories.
-- grain: (day, currency, category, subcategory)   reads: order_item_change   writes: delta_daily_category, daily_category
create or replace temp table delta_daily_category as
with by_order as (
    select sign, day, currency, category, subcategory, order_id, sum(quantity) as units, sum(gross_cents) as gross_cents,
           sum(sales_cents) as sales_cents, sum(cost_cents) as cost_cents
    from order_item_change
    group by sign, day, currency, category, subcategory, order_id
)
select day, currency, category, subcategory, sum(sign) as orders, sum(sign * units) as units, sum(sign * gross_cents) as gross_cents,
       sum(sign * sales_cents) as sales_cents, sum(sign * cost_cents) as cost_cents
from by_order
group by day, currency, category, subcategory
having sum(sign) <> 0 or sum(sign * units) <> 0 or sum(sign * gross_cents) <> 0 or sum(sign * sales_cents) <> 0 or sum(sign * cost_cents) <> 0;

merge into daily_category as target
using delta_daily_category as delta
on target.day = delta.day and target.currency = delta.currency and target.category = delta.category and target.subcategory = delta.subcategory
when matched and target.orders + delta.orders = 0 then delete
when matched then update set
    orders = target.orders + delta.orders, units = target.units + delta.units, gross_cents = target.gross_cents + delta.gross_cents,
    sales_cents = target.sales_cents + delta.sales_cents, cost_cents = target.cost_cents + delta.cost_cents
when not matched then insert by name;
