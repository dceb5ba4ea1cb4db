-- customer_sales_day: key (day, currency, customer_segment, region, country, customer_id)
select day, currency, coalesce(customer_segment, '(none)') as customer_segment, coalesce(region, '(none)') as region, coalesce(country, '(none)') as country, customer_id,
       count(*) as orders, sum(units) as units, sum(net_cents) as net_cents
from order_current where counted group by all;
