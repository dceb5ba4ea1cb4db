-- batch_offset: the offsets that fed each day in this batch.
-- grain: (day, topic, partition)   reads: batch_touchpoint, accepted_order, topic   writes: batch_offset
create or replace temp table batch_offset as
select o.day, t.topic, t.topic_id, o.partition, min(o."offset") as first_offset, max(o."offset") as last_offset, count(*) as rows
from (
    select 'touchpoints' as stream, day, partition, "offset" from batch_touchpoint where "offset" >= 0
    union all
    select 'orders', day, partition, "offset" from accepted_order where "offset" >= 0
) as o
join topic as t on t.stream = o.stream
group by o.day, t.topic, t.topic_id, o.partition;
