-- rejected_ids: the rejected messages that are meant, from one on, with their sizes: what is held of them at once is bounded by these.
-- grain: id   reads: rejected   parameters: those of rejected_matching; after
select id, coalesce(octet_length(value), 0) + coalesce(octet_length(key), 0) as bytes
from rejected_matching($ids, $stream, $topic, $stage, $reason, $file, $since, $until, $last_id, $with_resolved)
where id > $after order by id;
