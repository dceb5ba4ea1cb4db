-- product_label: name, category and subcategory of each product: of the product topic, else the category of its latest order item.
-- grain: (product_id)   reads: product, product_day
-- Category and subcategory go together: where the topic says no category, both are those of the latest counted order item that has one.
/*
priority = 15
internal = true
[columns]
product_id = { about = "the product" }
name = { about = "of the product topic; null where it has none, or was cleared by a tombstone" }
category = { about = "null where neither says one" }
subcategory = { about = "null where neither says one" }
*/
with sold as (
    select product_id, arg_max(struct_pack(category := category, subcategory := subcategory), day) as latest
    from product_day
    where category is not null
    group by product_id
)
select coalesce(p.product_id, s.product_id) as product_id, p.name, coalesce(p.category, s.latest.category) as category,
       case when p.category is not null then p.subcategory else s.latest.subcategory end as subcategory
from product p
full outer join sold s on s.product_id = p.product_id
