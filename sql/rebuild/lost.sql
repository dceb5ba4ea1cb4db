-- lost: messages without a schema to read them by now, which the file has counted as events of the days that are rebuilt: how many, and the first.
-- grain: (topic, partition, offset)   reads: batch_rejected, topic, touchpoint, order_current, day_state, day_offset, rejected, expired
-- parameters: first, last, ingested_at
-- What is rejected for its content is so rightly, now if not before. Days that are not sealed have the rows that stand. Of a sealed one all is taken that lies among its offsets and was not set aside before.
with now_rejected as (
    select b.stream, b.topic, b.topic_id, b.partition, b."offset", b.detail
    from batch_rejected as b join topic as t on t.stream = b.stream and t.topic = b.topic and t.topic_id = b.topic_id
    where b.stage = 'schema'
),
standing as (
    select 'touchpoints' as stream, partition, "offset" from touchpoint where day between $first and $last
    union all
    select 'orders', partition, "offset" from order_current where day between $first and $last
),
sealed as (
    select o.* from day_offset as o join day_state as d on d.day = o.day where d.is_sealed and o.day between $first and $last
),
set_aside as (
    select topic, topic_id, partition, "offset" from rejected where ingested_at < $ingested_at and resolution is distinct from 'accepted'
    union all
    select topic, topic_id, partition, "offset" from expired where resolution is distinct from 'accepted'
),
lost as (
    from now_rejected semi join standing using (stream, partition, "offset")
    union
    from now_rejected as n
    semi join sealed as s
        on s.topic = n.topic and s.topic_id = n.topic_id and s.partition = n.partition and n."offset" between s.first_offset and s.last_offset
    anti join set_aside as a on a.topic = n.topic and a.topic_id = n.topic_id and a.partition = n.partition and a."offset" = n."offset"
)
select count(*) over () as messages, topic, partition, "offset", detail from lost order by topic, partition, "offset" limit 1;
