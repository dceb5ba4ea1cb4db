-- mart_dirty: the customers whom a counted order has left: by a version that names another customer, or by a tombstone. No row of theirs tells.
-- grain: id   reads: stored_order, batch_order, uncounted_order   writes: mart_dirty
insert into mart_dirty (customer_id)
select s.customer_id
from stored_order as s join batch_order as b on b.day = s.day and b.order_id = s.order_id
where s.customer_id <> b.customer_id
union
select s.customer_id from stored_order as s semi join uncounted_order as u on u.stored_rowid = s.stored_rowid
order by customer_id;
