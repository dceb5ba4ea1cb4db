-- doctor_position: the first offset not yet committed of each partition, and the topic that it belongs to.
-- grain: (topic, partition)   reads: position
select topic, partition, topic_id, next_offset, leader_epoch from position order by topic, partition;
