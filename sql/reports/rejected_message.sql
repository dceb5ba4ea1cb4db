-- rejected_message: all that is kept of one rejected message.
-- grain: id   reads: rejected   parameters: id
select id, stream, topic, topic_id, partition, "offset", key, value, headers, epoch_ms(message_time) as timestamp_ms, file, file_row,
       ingested_at, stage, reason, detail, is_pending, resolved_at, resolution
from rejected where id = cast($id as bigint);
