-- sales_change: what the batch adds to the money of closed days that change, by currency.
-- grain: (day, currency)   reads: order_change, changed_day   writes: sales_change
create or replace temp table sales_change as
select o.day, o.currency, sum(sign) as orders, sum(sign * gross_cents) as gross_cents, sum(sign * discount_total_cents) as discount_cents,
       sum(sign * refunded_cents) as refunded_cents, sum(sign * tax_cents) as tax_cents, sum(sign * net_cents) as net_cents,
       sum(sign * cost_cents) as cost_cents
from order_change as o semi join changed_day as c on o.day = c.day
group by o.day, o.currency
having sum(sign) <> 0 or sum(sign * gross_cents) <> 0 or sum(sign * discount_total_cents) <> 0 or sum(sign * refunded_cents) <> 0
    or sum(sign * tax_cents) <> 0 or sum(sign * net_cents) <> 0 or sum(sign * cost_cents) <> 0;
