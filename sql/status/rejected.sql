-- rejected: the rejected messages that are kept, by reason.
-- grain: (stream, stage, reason)   reads: rejected
select stream, stage, reason, count(*) as messages, count(*) filter (where is_pending) as pending, max(ingested_at) as last_at
from rejected group by stream, stage, reason order by messages desc, stream, stage, reason;
