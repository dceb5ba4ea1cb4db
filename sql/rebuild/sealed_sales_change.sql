-- sealed_sales_change: what the rebuild adds to the money of a sealed day: its daily rows now, less those it had.
-- grain: (day, currency)   reads: old_daily_sales, daily_sales, changed_day   writes: sales_change   parameters: day
create or replace temp table sales_change as
select cast($day as date) as day, currency, sum(orders) as orders, sum(gross_cents) as gross_cents, sum(discount_cents) as discount_cents,
       sum(refunded_cents) as refunded_cents, sum(tax_cents) as tax_cents, sum(net_cents) as net_cents, sum(cost_cents) as cost_cents
from (
    select currency, orders, gross_cents, discount_cents, refunded_cents, tax_cents, net_cents, cost_cents from daily_sales where day = $day
    union all
    select currency, -orders, -gross_cents, -discount_cents, -refunded_cents, -tax_cents, -net_cents, -cost_cents from old_daily_sales
)
where cast($day as date) in (select day from changed_day)
group by currency
having sum(orders) <> 0 or sum(gross_cents) <> 0 or sum(discount_cents) <> 0 or sum(refunded_cents) <> 0 or sum(tax_cents) <> 0
    or sum(net_cents) <> 0 or sum(cost_cents) <> 0;
