-- order_change: the orders of the day against those that are stored: what is gone and what is new, signed.
-- grain: (day, order_id, sign)   reads: batch_order, old_order   writes: gone_order, changed_order, order_change
-- batch_order has the versions that stand among those read again. A row that is as it was is not touched.
create or replace temp table changed_order as
select n.* from batch_order as n
semi join (select * exclude (seq) from batch_order except select * exclude (stored_rowid, is_read) from old_order) as changed
    on changed.order_id = n.order_id;

create or replace temp table gone_order as
select o.* from old_order as o
where (o.is_read and o.order_id not in (select order_id from batch_order)) or o.order_id in (select order_id from changed_order);

create or replace temp table order_change as
select -1 as sign, day, currency, gross_cents, discount_total_cents, refunded_cents, tax_cents, net_cents, cost_cents from gone_order where counted
union all
select 1, day, currency, gross_cents, discount_total_cents, refunded_cents, tax_cents, net_cents, cost_cents from changed_order where counted;
