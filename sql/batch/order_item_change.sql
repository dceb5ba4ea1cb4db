-- order_item_change: the lines of order_change.
-- grain: (sign, day, order_id, line)   reads: order_change   writes: order_item_change
create or replace temp table order_item_change as
select sign, day, currency, order_id, item.product_id, coalesce(item.category, '(none)') as category, coalesce(item.subcategory, '(none)') as subcategory,
       item.quantity, item.quantity * item.unit_price_cents as gross_cents,
       item.quantity * item.unit_price_cents - item.discount_cents as sales_cents, item.quantity * coalesce(item.unit_cost_cents, 0) as cost_cents
from (select sign, day, currency, order_id, unnest(items) as item from order_change);
