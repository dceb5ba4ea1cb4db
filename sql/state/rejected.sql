-- rejected: the messages of the batch that could not become events; each origin once.
-- grain: (topic, topic_id, partition, offset) or (file, file_row)   reads: batch_rejected   writes: rejected   parameters: ingested_at
-- Only kept rows with an offset of the batch are compared in full: there are ever more of them.
insert into rejected by name
select b.*, $ingested_at as ingested_at
from batch_rejected as b
anti join (from rejected semi join batch_rejected using ("offset")) as r
on r.topic = b.topic and (r.topic_id = b.topic_id or b.file is not null) and r.partition = b.partition and r."offset" = b."offset"
   and r.file is not distinct from b.file and r.file_row is not distinct from b.file_row;
