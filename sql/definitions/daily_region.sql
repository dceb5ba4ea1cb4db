-- daily_region: its defining SELECT over the accepted rows of days that are not sealed; what verify, repair and rebuild compare and fill it with.
-- grain: (day, currency, region, country, state, city)   reads: order_current
select day, currency, coalesce(region, '(none)') as region, coalesce(country, '(none)') as country, coalesce(state, '(none)') as state,
       coalesce(city, '(none)') as city, count(*) as orders, sum(units) as units, sum(net_cents) as net_cents
from order_current where counted group by all
