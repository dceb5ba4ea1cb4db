-- customer: rows that a tombstone of this batch covers lose name and email, which is a change that marts look for.
-- grain: customer_id   reads: incoming_tombstone, tombstone   writes: customer   parameters: ingested_at
update customer as c set name = null, email = null, ingested_at = $ingested_at
from tombstone as t
where t.stream = 'customers' and t.id = c.customer_id and c.customer_id in (select id from incoming_tombstone)
  and (c.updated_at, c."offset", c.partition) <= (t.updated_at, t."offset", t.partition);
