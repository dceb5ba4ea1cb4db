-- version: the batch's tombstones with the stored ones of the same ids; a tombstone has no content, so the same time is a duplicate.
-- grain: version   reads: incoming_tombstone, tombstone   writes: version   parameters: stream
create or replace temp table version as
select cast(null as date) as key_day, id as key_id, seq, updated_at, "offset", partition, '' as content_hash from incoming_tombstone
union all
select null, t.id, -1, t.updated_at, t."offset", t.partition, ''
from tombstone as t semi join incoming_tombstone as i on t.id = i.id
where t.stream = $stream;
