-- day_offset: which offsets fed a day; replay and rebuild need it.
-- grain: (day, topic, topic_id, partition)   reads: batch_offset   writes: day_offset
merge into day_offset as target
using batch_offset as delta
on target.day = delta.day and target.topic = delta.topic and target.topic_id = delta.topic_id and target.partition = delta.partition
when matched then update set
    first_offset = least(target.first_offset, delta.first_offset), last_offset = greatest(target.last_offset, delta.last_offset),
    rows = target.rows + delta.rows
when not matched then insert by name;
