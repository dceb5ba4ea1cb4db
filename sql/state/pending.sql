-- pending: rejected messages that are still to go to their DLQ, oldest first, from one on.
-- grain: id   reads: rejected   parameters: after, limit
select id, topic, topic_id, partition, "offset", key, value, headers, epoch_ms(message_time), stage, reason, detail, file, file_row
from rejected where is_pending and id > $after order by id limit $limit;
