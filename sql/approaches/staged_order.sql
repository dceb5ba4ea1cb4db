-- staged_order: the greatest version of each order, among new raw rows and those staged for the same days.
-- grain: (day, order_id)   reads: raw_order, staged_order
select *
from (from raw_order union all by name from staged_order)
qualify row_number() over (partition by day, order_id order by updated_at desc, "offset" desc) = 1
