-- day_offsets: which offsets fed the days.
-- grain: (day, topic, topic_id, partition)   reads: day_offset   parameters: first, last
select day, topic, topic_id, partition, first_offset, last_offset
from day_offset where day between cast($first as date) and cast($last as date) order by all;
