-- admitted: the expired events of the day that are part of it now. Those that were readmitted and are rejected now stay as they are.
-- grain: id   reads: rebuild_touchpoint, rebuild_order, topic, rejected   writes: expired   parameters: day, readmitted, ingested_at
update expired set resolved_at = $ingested_at, resolution = 'accepted'
where day = $day and resolved_at is null and (id <= $readmitted and not exists (
    from rejected as r
    where r.resolved_at is null and r.topic = expired.topic and r.topic_id = expired.topic_id and r.partition = expired.partition
      and r."offset" = expired."offset" and r.file is not distinct from expired.file and r.file_row is not distinct from expired.file_row
) or (stream, topic, topic_id, partition, "offset") in (
    select t.stream, t.topic, t.topic_id, n.partition, n."offset"
    from (
        select 'touchpoints' as stream, partition, "offset" from rebuild_touchpoint where day = $day
        union all
        select 'orders', partition, "offset" from rebuild_order where day = $day
    ) as n
    join topic as t on t.stream = n.stream
));
