-- version, incoming_product_kept: the batch's products with the stored ones of the same ids; what a tombstone covers has lost its name.
-- grain: version   reads: incoming_product, product, tombstone   writes: incoming_product_kept, version
create or replace temp table incoming_product_kept as
select i.* replace (case when is_cleared then null else name end as name)
from (
    select i.*, t.id is not null and (i.updated_at, i."offset", i.partition) <= (t.updated_at, t."offset", t.partition) as is_cleared
    from incoming_product as i left join tombstone as t on t.stream = 'products' and t.id = i.product_id
) as i;

create or replace temp table version as
select cast(null as date) as key_day, product_id as key_id, seq, updated_at, "offset", partition,
       md5(cast(to_json(struct_pack(name, category, subcategory, unit_cost_cents, stock_level)) as varchar)) as content_hash
from incoming_product_kept
union all
select null, p.product_id, -1, p.updated_at, p."offset", p.partition,
       md5(cast(to_json(struct_pack(p.name, p.category, p.subcategory, p.unit_cost_cents, p.stock_level)) as varchar))
from product as p semi join incoming_product as i on p.product_id = i.product_id;
