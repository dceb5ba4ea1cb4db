-- tombstone: the greatest tombstone of each order, customer and product.
-- grain: (stream, id)   reads: incoming_tombstone, version_outcome   writes: tombstone   parameters: stream
merge into tombstone as target
using (select i.* from incoming_tombstone as i join version_outcome as v on v.seq = i.seq where v.is_winner) as delta
on target.stream = $stream and target.id = delta.id
when matched then update set updated_at = delta.updated_at, "offset" = delta."offset", partition = delta.partition
when not matched then insert (stream, id, updated_at, partition, "offset") values ($stream, delta.id, delta.updated_at, delta.partition, delta."offset");
