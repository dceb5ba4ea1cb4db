-- rejected_messages: some rejected messages as they came, those that were resolved meanwhile left out.
-- grain: id   reads: rejected   parameters: ids
select id, stream, topic, topic_id, partition, "offset", key, value, headers, epoch_ms(message_time), file, file_row
from rejected where id in (select unnest($ids)) and resolved_at is null order by id;
