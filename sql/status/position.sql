-- position: the first offset not yet committed, per partition.
-- grain: (topic, partition)   reads: position
select topic, partition, next_offset from position order by topic, partition;
