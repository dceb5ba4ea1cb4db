-- version: the contested versions of the batch, of orders that are stored already or come more than once, with the stored ones.
-- grain: version   reads: contested_order, stored_order   writes: version, tied_order
-- Contents are compared only where two versions have the same updated_at: the others are told apart by that.
create or replace temp table version as
select day as key_day, order_id as key_id, seq, updated_at, "offset", partition, '' as content_hash
from contested_order
union all
select day, order_id, -1, updated_at, "offset", partition, '' from stored_order;

create or replace temp table tied_order as
select key_day as day, key_id as order_id, updated_at from version group by key_day, key_id, updated_at having count(*) > 1;

update version set content_hash = tied.content_hash
from (
    select day, order_id, seq, md5(cast(to_json(content) as varchar)) as content_hash
    from (
        select seq, day, order_id,
               struct_pack(customer_id, ordered_at, status, currency, customer_segment, region, country, state, city,
                           discount_cents, tax_cents, shipping_cents, refunded_cents, items) as content
        from contested_order semi join tied_order using (day, order_id, updated_at)
        union all
        select -1, day, order_id,
               struct_pack(customer_id, ordered_at, status, currency, customer_segment, region, country, state, city,
                           discount_cents, tax_cents, shipping_cents, refunded_cents, items)
        from stored_order semi join tied_order using (day, order_id, updated_at)
    )
) as tied
where version.key_day = tied.day and version.key_id = tied.order_id and version.seq = tied.seq;
