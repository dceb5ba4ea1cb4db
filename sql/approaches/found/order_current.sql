-- order_current: the stored orders of which this commit brought another version or a tombstone.
-- reads: stored_order
select * exclude (stored_rowid) from stored_order
