-- read_newest_event: the greatest event times as committed, UTC microseconds.
-- grain: (topic, partition)   reads: newest_event
select topic, partition, epoch_us(event_time) from newest_event;
