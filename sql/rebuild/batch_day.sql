-- batch_day: what the rebuild brings to the day; of a sealed one, whose rows are gone, what its daily rows said stands for them.
-- grain: day   reads: batch_touchpoint, gone_touchpoint, changed_order, order_change, old_touchpoint, old_order, held   writes: batch_day
-- parameters: day, is_sealed
-- Where nobody knows how many a sealed day held, it is taken to have held what it holds now.
create or replace temp table batch_day as
with now as (
    select (select count(*) from batch_touchpoint) as touchpoints, (select coalesce(sum(sign), 0) from order_change) as orders,
           (select count(*) from batch_touchpoint as n anti join old_touchpoint as o
                on o.event_uuid = n.event_uuid and o.event_text is not distinct from n.event_text)
           + (select count(*) from changed_order where order_id not in (select order_id from old_order)) as new_rows
),
before as (
    select case when $is_sealed then coalesce(h.touchpoints, n.touchpoints) else 0 end as touchpoints,
           case when $is_sealed then coalesce(h.orders, n.orders) else 0 end as orders
    from held as h cross join now as n
)
select cast($day as date) as day, n.new_rows - b.touchpoints - b.orders as new_rows,
       (select count(*) from changed_order where order_id in (select order_id from old_order)) as updates,
       n.touchpoints - (select count(*) from gone_touchpoint) - b.touchpoints as touchpoints,
       n.orders - b.orders as orders
from now as n cross join before as b;
