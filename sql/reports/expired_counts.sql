-- expired_counts: how many messages expired, by day and stream; a parameter that is null leaves its column free.
-- grain: (day, stream)   reads: expired   parameters: day, stream, with_resolved
select day, stream, count(*) as messages, cast(coalesce(sum(octet_length(value)), 0) as bigint) as bytes,
       min(ingested_at) as first_at, max(ingested_at) as last_at
from expired
where coalesce(day = cast($day as date), true) and coalesce(stream = $stream, true) and ($with_resolved or resolved_at is null)
group by day, stream order by day, stream;
