-- incoming_order: the versions of the day that were read again, and the stored rows that stand beside them, for the ranking of versions.
-- grain: seq; (day, order_id)   reads: rebuild_order, order_current, read_range   writes: incoming_order, contested_order, old_order, stored_order   parameters: day
-- Stored rows from outside the ranges that were read came meanwhile, or from elsewhere.
create or replace temp table incoming_order as from rebuild_order where day = $day;
create or replace temp view contested_order as from incoming_order;

create or replace temp table old_order as
select o.* exclude (counted, partition, "offset", ingested_at), o.partition, o."offset", o.counted, o.rowid as stored_rowid,
       r.partition is not null as is_read
from order_current as o
left join read_range as r on r.stream = 'orders' and r.partition = o.partition and o."offset" >= r.first_offset and o."offset" < r.before_offset
where o.day = $day;

create or replace temp table stored_order as select * exclude (is_read) from old_order where not is_read;
