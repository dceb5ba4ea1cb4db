-- daily_sales: its defining SELECT over the accepted rows of days that are not sealed; what verify, repair and rebuild compare and fill it with.
-- grain: (day, currency, customer_segment, region, country)   reads: order_current
select day, currency, coalesce(customer_segment, '(none)') as customer_segment, coalesce(region, '(none)') as region, coalesce(country, '(none)') as country,
       count(*) as orders, count(distinct customer_id) as customers, sum(units) as units, sum(gross_cents) as gross_cents,
       sum(discount_total_cents) as discount_cents, sum(tax_cents) as tax_cents, sum(shipping_cents) as shipping_cents,
       sum(refunded_cents) as refunded_cents, sum(net_cents) as net_cents, sum(cost_cents) as cost_cents, sum(units_without_cost) as units_without_cost
from order_current where counted group by all
