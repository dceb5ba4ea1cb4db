-- daily_category: key (day, currency, category, subcategory), sales = gross less item discounts (order discounts and refunds are not spread over items)
select i.day, o.currency, coalesce(i.category, '(none)') as category, coalesce(i.subcategory, '(none)') as subcategory, count(distinct i.order_id) as orders, sum(i.quantity) as units,
       sum(i.quantity * i.unit_price_cents) as gross_cents, sum(i.quantity * i.unit_price_cents - i.discount_cents) as sales_cents, sum(i.quantity * coalesce(i.unit_cost_cents, 0)) as cost_cents
from order_item i join order_current o using (day, order_id) where o.counted group by all;
