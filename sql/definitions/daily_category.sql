-- daily_category: its defining SELECT over the accepted rows of days that are not sealed; what verify, repair and rebuild compare and fill it with.
-- grain: (day, currency, category, subcategory)   reads: order_item, order_current
select i.day, o.currency, coalesce(i.category, '(none)') as category, coalesce(i.subcategory, '(none)') as subcategory,
       count(distinct i.order_id) as orders, sum(i.quantity) as units, sum(i.quantity * i.unit_price_cents) as gross_cents,
       sum(i.quantity * i.unit_price_cents - i.discount_cents) as sales_cents, sum(i.quantity * coalesce(i.unit_cost_cents, 0)) as cost_cents
from order_item as i join order_current as o using (day, order_id) where o.counted group by all
