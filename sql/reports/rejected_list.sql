-- rejected_list: the rejected messages that are meant, newest first.
-- grain: id   reads: rejected   parameters: those of rejected_matching; limit
select id, stream, topic, partition, "offset", file, file_row, ingested_at, stage, reason, detail, octet_length(value) as bytes,
       resolved_at, resolution
from rejected_matching($ids, $stream, $topic, $stage, $reason, $file, $since, $until, $last_id, $with_resolved)
order by id desc limit $limit;
