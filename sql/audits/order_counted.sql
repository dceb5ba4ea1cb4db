-- order_counted: orders that count and should not, or should and do not: by their status, and by a tombstone that is not below their version.
-- grain: (day, order_id)   reads: order_current, order_tombstone   parameters: low, high   severity: error
select o.day, o.order_id, o.status, o.counted, o.updated_at, t.updated_at as tombstone_at
from order_current as o left join order_tombstone as t on t.order_id = o.order_id
where o.day between $low and $high
  and o.counted <> (o.status in ('COMPLETED', 'REFUNDED')
                    and (t.order_id is null or (o.updated_at, o."offset", o.partition) > (t.updated_at, t."offset", t.partition)));
