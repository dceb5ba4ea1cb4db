-- stored_order: the stored rows of the orders that this batch has versions of or tombstones for.
-- grain: (day, order_id)   reads: order_current, incoming_order, incoming_tombstone   writes: stored_order
create or replace temp table stored_order as
select s.*, s.rowid as stored_rowid from order_current as s semi join incoming_order as i on s.day = i.day and s.order_id = i.order_id;

-- A tombstone names no day: it is looked for in all, by one scan.
insert into stored_order
select s.*, s.rowid from order_current as s
semi join incoming_tombstone as i on s.order_id = i.id
anti join stored_order as o on s.rowid = o.stored_rowid;
