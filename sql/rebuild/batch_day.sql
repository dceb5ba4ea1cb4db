-- batch_day: what the rebuild brings to the day; of a sealed one, whose rows are gone, what its daily rows said stands for them.
-- grain: day   reads: batch_touchpoint, gone_touchpoint, changed_order, order_change, old_touchpoint, old_order, old_daily_channel, old_daily_sales   writes: batch_day
-- parameters: day, is_sealed
create or replace temp table batch_day as
select cast($day as date) as day,
       (select count(*) from batch_touchpoint as n anti join old_touchpoint as o
            on o.event_uuid = n.event_uuid and o.event_text is not distinct from n.event_text)
       + (select count(*) from changed_order where order_id not in (select order_id from old_order))
       - case when $is_sealed then (select coalesce(sum(touchpoints), 0) from old_daily_channel) + (select coalesce(sum(orders), 0) from old_daily_sales)
              else 0 end as new_rows,
       (select count(*) from changed_order where order_id in (select order_id from old_order)) as updates,
       (select count(*) from batch_touchpoint) - (select count(*) from gone_touchpoint)
       - case when $is_sealed then (select coalesce(sum(touchpoints), 0) from old_daily_channel) else 0 end as touchpoints,
       (select coalesce(sum(sign), 0) from order_change)
       - case when $is_sealed then (select coalesce(sum(orders), 0) from old_daily_sales) else 0 end as orders;
