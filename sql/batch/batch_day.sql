-- batch_day: what the batch brings to each day.
-- grain: day   reads: batch_touchpoint, accepted_order, batch_order, stored_order, order_change, uncounted_order, batch_stock   writes: batch_day
-- new_rows: touchpoints and orders not seen before; updates: accepted versions of orders seen before, and orders that a tombstone covers;
-- touchpoints, orders: what is added to the counts, signed.
create or replace temp table batch_day as
select day, sum(new_rows) as new_rows, sum(updates) as updates, sum(touchpoints) as touchpoints, sum(orders) as orders
from (
    select day, count(*) as new_rows, 0 as updates, count(*) as touchpoints, 0 as orders from batch_touchpoint group by day
    union all
    select day, 0, count(*), 0, 0 from accepted_order group by day
    union all
    select day, count(*), -count(*), 0, 0 from batch_order as b
    anti join stored_order as s on s.day = b.day and s.order_id = b.order_id group by day
    union all
    select day, 0, count(*), 0, 0 from uncounted_order group by day
    union all
    select day, 0, 0, 0, sum(sign) from order_change group by day
    union all
    select distinct day, 0, 0, 0, 0 from batch_stock
)
group by day;
