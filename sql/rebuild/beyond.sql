-- beyond: what fed the day from outside the ranges that were read; nothing where the events come from files, which have none.
-- grain: (topic, partition)   reads: day_offset, read_range, topic   parameters: day
select o.topic, o.partition, o.last_offset
from day_offset as o
left join (select t.topic, r.partition, r.first_offset, r.before_offset from read_range as r join topic as t on t.stream = r.stream) as r
    on r.topic = o.topic and r.partition = o.partition
where o.day = $day and (select count(*) from read_range) > 0
  and (r.partition is null or o.first_offset < r.first_offset or o.last_offset >= r.before_offset)
order by all;
