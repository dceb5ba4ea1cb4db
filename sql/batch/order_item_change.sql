-- order_item_change: the lines of order_change.
-- grain: (sign, day, order_id, line)   reads: order_change, stored_order, batch_order   writes: order_item_change
create or replace temp table order_item_change as
select sign, day, currency, order_id, item.product_id, coalesce(item.category, '(none)') as category, coalesce(item.subcategory, '(none)') as subcategory,
       item.quantity, item.quantity * item.unit_price_cents as gross_cents,
       item.quantity * item.unit_price_cents - item.discount_cents as sales_cents, item.quantity * coalesce(item.unit_cost_cents, 0) as cost_cents
from (
    select c.sign, c.day, c.currency, c.order_id, unnest(s.items) as item
    from order_change as c join stored_order as s on c.sign = -1 and s.day = c.day and s.order_id = c.order_id
    union all
    select c.sign, c.day, c.currency, c.order_id, unnest(b.items)
    from order_change as c join batch_order as b on c.sign = 1 and b.day = c.day and b.order_id = c.order_id
);
