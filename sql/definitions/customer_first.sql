-- customer_first: its defining SELECT over the accepted rows of days that are not sealed; what verify, repair and rebuild compare and fill it with.
-- grain: customer_id   reads: touchpoint, order_current; customer_first for firsts on sealed days, which stand
select customer_id, min(day) as first_active_day, min(day) filter (where not is_order) as first_touch_day, min(day) filter (where is_order) as first_order_day
from (
    select day, customer_id, false as is_order from touchpoint where customer_id is not null
    union all
    select day, customer_id, true from order_current where counted
    union all
    select first_touch_day, customer_id, false from main.customer_first where first_touch_day < (select sealed_before from progress)
    union all
    select first_order_day, customer_id, true from main.customer_first where first_order_day < (select sealed_before from progress)
)
group by customer_id
