-- covered_order: which of the batch's versions a tombstone covers: those do not count.
-- grain: seq   reads: incoming_order, tombstone
select i.seq
from incoming_order as i
join tombstone as t on t.stream = 'orders' and t.id = i.order_id
where (i.updated_at, i."offset", i.partition) <= (t.updated_at, t."offset", t.partition);
