-- batch_offset: the offsets that fed each day in this batch; of rows from files that have none, partition and offsets are -1.
-- grain: (day, topic, partition)   reads: batch_touchpoint, accepted_order, batch_order, topic   writes: batch_offset
-- An order's row may stand at the offset of a duplicate, which adds no row: a rebuild must read that far.
create or replace temp table batch_offset as
select o.day, t.topic, t.topic_id, o.partition, min(o."offset") as first_offset, max(o."offset") as last_offset, sum(o.rows) as rows
from (
    select 'touchpoints' as stream, day, partition, "offset", 1 as rows from batch_touchpoint
    union all
    select 'orders', day, partition, "offset", 1 from accepted_order
    union all
    select 'orders', day, partition, "offset", 0 from batch_order
) as o
join topic as t on t.stream = o.stream
group by o.day, t.topic, t.topic_id, o.partition;
