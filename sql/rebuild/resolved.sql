-- resolved: rejected messages of the log that have become events of the day. (Rows of files are not told apart here: dlq replay does.)
-- grain: id   reads: rebuild_touchpoint, rebuild_order, topic   writes: rejected   parameters: day, ingested_at
update rejected set resolved_at = $ingested_at, resolution = 'accepted', is_pending = false
where resolved_at is null and file is null and (stream, topic, topic_id, partition, "offset") in (
    select t.stream, t.topic, t.topic_id, n.partition, n."offset"
    from (
        select 'touchpoints' as stream, partition, "offset" from rebuild_touchpoint where day = $day
        union all
        select 'orders', partition, "offset" from rebuild_order where day = $day
    ) as n
    join topic as t on t.stream = n.stream
);
