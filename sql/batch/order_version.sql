-- version: the versions of orders that are stored already or come more than once in the batch; all others are new and stand alone.
-- grain: version   reads: incoming_order, stored_order   writes: version
create or replace temp table version as
with contested as (
    select day, order_id
    from (select day, order_id from incoming_order union all select day, order_id from stored_order)
    group by day, order_id having count(*) > 1
),
content as (
    select seq, day, order_id, updated_at, "offset", partition,
           struct_pack(customer_id, ordered_at, status, currency, customer_segment, region, country, state, city,
                       discount_cents, tax_cents, shipping_cents, refunded_cents, items) as fields
    from incoming_order
    union all
    select -1, day, order_id, updated_at, "offset", partition,
           struct_pack(customer_id, ordered_at, status, currency, customer_segment, region, country, state, city,
                       discount_cents, tax_cents, shipping_cents, refunded_cents, items)
    from stored_order
)
select day as key_day, order_id as key_id, seq, updated_at, "offset", partition, md5(cast(to_json(fields) as varchar)) as content_hash
from content semi join contested using (day, order_id);
