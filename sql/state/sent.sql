-- sent: these rejected messages have reached their DLQ.
-- grain: id   writes: rejected   parameters: ids
update rejected set is_pending = false where id in (select unnest($ids));
