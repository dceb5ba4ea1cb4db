-- position: the first offset not yet committed, of each partition read.
-- grain: (topic, partition)   reads: batch_position   writes: position
merge into position as target
using batch_position as new
on target.topic = new.topic and target.partition = new.partition
when matched then update set topic_id = new.topic_id, next_offset = new.next_offset, leader_epoch = new.leader_epoch
when not matched then insert by name;
