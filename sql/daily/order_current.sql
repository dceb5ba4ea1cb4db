-- order_current: the batch's versions take the place of the stored ones; rows that a tombstone covers cease to count.
-- grain: (day, order_id)   reads: batch_order, stored_order, uncounted_order   writes: order_current   parameters: ingested_at
update order_current set counted = false where rowid in (select stored_rowid from uncounted_order);

delete from order_current
where rowid in (select s.stored_rowid from stored_order as s semi join batch_order as b on s.day = b.day and s.order_id = b.order_id);

insert into order_current by name
select * exclude (seq), $ingested_at as ingested_at from batch_order;
