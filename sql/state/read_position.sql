-- read_position: the position and the topics' identity as committed.
-- grain: (topic, partition)   reads: position
select topic, partition, topic_id, next_offset, leader_epoch from position;
