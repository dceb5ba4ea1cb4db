-- newest_event: the greatest event time seen in each partition that moves the watermark.
-- grain: (topic, partition)   reads: batch_newest_event   writes: newest_event
merge into newest_event as target
using batch_newest_event as new
on target.topic = new.topic and target.partition = new.partition
when matched then update set event_time = new.event_time
when not matched then insert by name;
