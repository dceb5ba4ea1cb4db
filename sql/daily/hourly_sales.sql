-- hourly_sales: counted orders by the hour of ordered_at.
-- grain: (day, hour, currency)   reads: order_change   writes: delta_hourly_sales, hourly_sales
create or replace temp table delta_hourly_sales as
select day, hour, currency, sum(sign) as orders, sum(sign * net_cents) as net_cents
from order_change
group by day, hour, currency
having sum(sign) <> 0 or sum(sign * net_cents) <> 0;

merge into hourly_sales as target
using delta_hourly_sales as delta
on target.day = delta.day and target.hour = delta.hour and target.currency = delta.currency
when matched and target.orders + delta.orders = 0 then delete
when matched then update set orders = target.orders + delta.orders, net_cents = target.net_cents + delta.net_cents
when not matched then insert by name;
