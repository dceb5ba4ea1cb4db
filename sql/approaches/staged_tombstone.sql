-- staged_tombstone: the greatest tombstone of each order, among new raw rows and those staged.
-- grain: order_id   reads: raw_tombstone, staged_tombstone
select *
from (from raw_tombstone union all by name from staged_tombstone)
qualify row_number() over (partition by order_id order by updated_at desc, "offset" desc) = 1
