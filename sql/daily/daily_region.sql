-- daily_region: counted orders by place.
-- grain: (day, currency, region, country, state, city)   reads: order_change   writes: delta_daily_region, daily_region
create or replace temp table delta_daily_region as
select day, currency, region, country, state, city, sum(sign) as orders, sum(sign * units) as units, sum(sign * net_cents) as net_cents
from order_change
group by day, currency, region, country, state, city
having sum(sign) <> 0 or sum(sign * units) <> 0 or sum(sign * net_cents) <> 0;

merge into daily_region as target
using delta_daily_region as delta
on target.day = delta.day and target.currency = delta.currency and target.region = delta.region and target.country = delta.country
   and target.state = delta.state and target.city = delta.city
when matched and target.orders + delta.orders = 0 then delete
when matched then update set orders = target.orders + delta.orders, units = target.units + delta.units, net_cents = target.net_cents + delta.net_cents
when not matched then insert by name;
