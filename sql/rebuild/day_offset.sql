-- day_offset: what fed the day: what was read again, and what came from beyond the ranges that were read.
-- grain: (day, topic, topic_id, partition)   reads: rebuild_touchpoint, rebuild_order, topic, read_range   writes: batch_offset, day_offset
-- parameters: day
create or replace temp table batch_offset as
select n.day, t.topic, t.topic_id, n.partition, min(n."offset") as first_offset, max(n."offset") as last_offset, count(*) as rows
from (
    select 'touchpoints' as stream, day, partition, "offset" from rebuild_touchpoint where day = $day
    union all
    select 'orders', day, partition, "offset" from rebuild_order where day = $day
) as n
join topic as t on t.stream = n.stream
group by n.day, t.topic, t.topic_id, n.partition;

merge into day_offset as target
using (
    select b.*, coalesce(r.before_offset, 0) as before_offset
    from batch_offset as b
    left join (select t.topic, x.partition, x.before_offset from read_range as x join topic as t on t.stream = x.stream) as r
        on r.topic = b.topic and r.partition = b.partition
) as delta
on target.day = delta.day and target.topic = delta.topic and target.topic_id = delta.topic_id and target.partition = delta.partition
when matched then update set
    first_offset = least(target.first_offset, delta.first_offset), last_offset = greatest(target.last_offset, delta.last_offset),
    rows = case when target.last_offset < delta.before_offset then delta.rows else greatest(target.rows, delta.rows) end
when not matched then insert (day, topic, topic_id, partition, first_offset, last_offset, rows)
    values (delta.day, delta.topic, delta.topic_id, delta.partition, delta.first_offset, delta.last_offset, delta.rows);
