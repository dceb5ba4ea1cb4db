-- expired_message: all that is kept of one expired message.
-- grain: id   reads: expired   parameters: id
select id, stream, topic, topic_id, partition, "offset", key, value, headers, epoch_ms(message_time) as timestamp_ms, file, file_row,
       ingested_at, day, resolved_at, resolution
from expired where id = cast($id as bigint);
