-- expired_list: the expired messages, newest first; a parameter that is null leaves its column free.
-- grain: id   reads: expired   parameters: day, stream, with_resolved, limit
select id, stream, day, topic, partition, "offset", file, file_row, ingested_at, octet_length(value) as bytes, resolved_at, resolution
from expired
where coalesce(day = cast($day as date), true) and coalesce(stream = $stream, true) and ($with_resolved or resolved_at is null)
order by id desc limit $limit;
