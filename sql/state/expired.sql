-- expired: the events of sealed days, with their bytes; each origin once.
-- grain: (topic, topic_id, partition, offset) or (file, file_row)   reads: batch_expired   writes: expired   parameters: ingested_at
-- Only kept rows with an offset of the batch are compared in full: there are ever more of them.
insert into expired by name
select b.*, $ingested_at as ingested_at
from batch_expired as b
anti join (from expired semi join batch_expired using ("offset")) as e
on e.topic = b.topic and e.topic_id = b.topic_id and e.partition = b.partition and e."offset" = b."offset"
   and e.file is not distinct from b.file and e.file_row is not distinct from b.file_row;
