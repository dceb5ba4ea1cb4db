-- expired_messages: expired messages of some days as they came, oldest first. Those of the log and those of files apart.
-- grain: id   reads: expired   parameters: first, last, after, last_id, limit
with meant as (
    from expired where day between $first and $last and resolved_at is null and id > $after and id <= $last_id order by id limit $limit
),
alike as (
    select *, min(id) filter (where (file is null) <> (select file is null from meant order by id limit 1)) over () as first_other from meant
)
select id, stream, topic, topic_id, partition, "offset", key, value, headers, epoch_ms(message_time), file, file_row
from alike where first_other is null or id < first_other order by id;
