-- rejected_counts: how many rejected messages are meant, by stream and reason.
-- grain: (stream, reason)   reads: rejected   parameters: those of rejected_matching
select stream, stage, reason, count(*) as messages, cast(coalesce(sum(octet_length(value)), 0) as bigint) as bytes,
       min(ingested_at) as first_at, max(ingested_at) as last_at, max(id) as last_id
from rejected_matching($ids, $stream, $topic, $stage, $reason, $file, $since, $until, $last_id, $with_resolved)
group by stream, stage, reason order by messages desc, stream, reason;
