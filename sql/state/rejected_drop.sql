-- rejected_drop: rejected messages are given up: their rows stay, so that they are not kept again, their bytes go.
-- grain: id   writes: rejected   parameters: those of rejected_matching; ingested_at
update rejected set
    resolved_at = $ingested_at, resolution = 'dropped', is_pending = false, key = null, value = null, headers = []
where id in (
    select id from rejected_matching($ids, $stream, $topic, $stage, $reason, $file, $since, $until, $last_id, $with_resolved)
) and resolved_at is null
returning id;
