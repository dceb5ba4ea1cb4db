-- position: the first offset not yet committed, of each partition, and the log that it belongs to.
-- grain: (topic, partition)   reads: position, progress
select p.topic, p.partition, p.topic_id, p.next_offset, p.leader_epoch, g.cluster_id
from position as p cross join progress as g order by p.topic, p.partition;
