-- expired_messages: expired messages of some days as they came, oldest first: one, or as many as fit into max_bytes. Those of the log and of files apart.
-- grain: id   reads: expired   parameters: first, last, after, last_id, limit, max_bytes
with meant as (
    select id, file is null as is_of_log, coalesce(octet_length(value), 0) + coalesce(octet_length(key), 0) as bytes
    from expired where day between $first and $last and resolved_at is null and id > $after and id <= $last_id order by id limit $limit
),
summed as (
    select id, sum(bytes) over (order by id) as bytes, is_of_log, first_value(is_of_log) over (order by id) as is_first_of_log from meant
),
past as (select min(id) as id from summed where is_of_log <> is_first_of_log or (bytes > $max_bytes and id > (select min(id) from meant)))
select id, stream, topic, topic_id, partition, "offset", key, value, headers, epoch_ms(message_time), file, file_row
from expired where id in (select m.id from meant as m cross join past as p where p.id is null or m.id < p.id) order by id;
