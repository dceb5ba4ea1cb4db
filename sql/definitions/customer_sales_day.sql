-- customer_sales_day: its defining SELECT over the accepted rows of days that are not sealed; what verify, repair and rebuild compare and fill it with.
-- grain: (day, currency, customer_segment, region, country, customer_id)   reads: order_current
select day, currency, coalesce(customer_segment, '(none)') as customer_segment, coalesce(region, '(none)') as region, coalesce(country, '(none)') as country,
       customer_id, count(*) as orders, sum(units) as units, sum(net_cents) as net_cents
from order_current where counted group by all
