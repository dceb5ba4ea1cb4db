-- set_aside: what days that are filled anew have of the batch need not be merged; it is put back for the ledger.
-- reads: refill_day, batch_touchpoint   writes: order_change, refill_order_change, delta_refill
create or replace temp table refill_order_change as from order_change where day in (select day from refill_day);

-- An order that comes again as it was, at a greater offset, changes no day.
create or replace temp table delta_refill as
select day from refill_day where day in (
    select day from batch_touchpoint
    union select day from (select * exclude (sign, order_id), sum(sign) as signs from refill_order_change group by all) where signs <> 0
);
delete from order_change where day in (select day from refill_day);
