-- resolved: rejected messages that have become events now.
-- grain: id   reads: decoded_message   writes: rejected   parameters: ingested_at
update rejected set resolved_at = $ingested_at, resolution = 'accepted', is_pending = false
where resolved_at is null and id in (
    select r.id from rejected as r join decoded_message as d
        on r.topic = d.topic and (r.topic_id = d.topic_id or d.file is not null) and r.partition = d.partition and r."offset" = d."offset"
           and r.file is not distinct from d.file and r.file_row is not distinct from d.file_row
    union
    select kept_id from decoded_message
);
