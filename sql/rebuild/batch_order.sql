-- batch_order: the version of each order that stands after this batch, where that is one of the batch's.
-- grain: (day, order_id)   reads: incoming_order, version_outcome, tombstone   writes: batch_order
create or replace temp table batch_order as
select i.*,
       i.status in ('COMPLETED', 'REFUNDED')
       and (t.id is null or (i.updated_at, i."offset", i.partition) > (t.updated_at, t."offset", t.partition)) as counted
from incoming_order as i
left join tombstone as t on t.stream = 'orders' and t.id = i.order_id
where i.seq not in (select seq from version_outcome where not is_winner);
