-- product: rows that a tombstone of this batch covers lose their name.
-- grain: product_id   reads: incoming_tombstone, tombstone   writes: product
update product as p set name = null
from tombstone as t
where t.stream = 'products' and t.id = p.product_id and p.product_id in (select id from incoming_tombstone)
  and (p.updated_at, p."offset", p.partition) <= (t.updated_at, t."offset", t.partition);
