-- rejected: the rejected messages that neither came in later nor were dropped, by reason.
-- grain: (stream, stage, reason)   reads: rejected
select stream, stage, reason, count(*) as messages, count(*) filter (where is_pending) as pending, max(ingested_at) as last_at
from rejected where resolved_at is null group by stream, stage, reason order by messages desc, stream, stage, reason;
