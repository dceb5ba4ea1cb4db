-- stored_order: the stored rows of the orders that this batch has versions of or tombstones for.
-- grain: (day, order_id)   reads: order_current, incoming_order, incoming_tombstone   writes: stored_order_row, stored_order
-- Keys are looked for first; the contents of the table are read only for those that are found. A tombstone names no day: it is looked for in
-- all, by one scan.
create or replace temp table stored_order_row as
select s.rowid as stored_rowid from order_current as s semi join incoming_order as i on s.day = i.day and s.order_id = i.order_id
union
select s.rowid from order_current as s semi join incoming_tombstone as i on s.order_id = i.id;

create or replace temp table stored_order as
select s.*, s.rowid as stored_rowid from order_current as s where s.rowid in (select stored_rowid from stored_order_row);
