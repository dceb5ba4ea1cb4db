-- mart_dirty: marts are to be computed anew where the rebuild put rows in or took some out, or made a table right.
-- grain: id   reads: batch_touchpoint, gone_touchpoint, changed_order, gone_order   writes: mart_dirty   parameters: is_changed
insert into mart_dirty (customer_id)
select null
where $is_changed or exists (from batch_touchpoint) or exists (from gone_touchpoint) or exists (from changed_order) or exists (from gone_order);
