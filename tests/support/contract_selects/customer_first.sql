-- customer_first: key customer_id, active = an identified touchpoint or a counted order, of any currency (firsts on sealed days are kept)
select customer_id, min(day) as first_active_day, min(day) filter (where not is_order) as first_touch_day, min(day) filter (where is_order) as first_order_day
from (select day, customer_id, false as is_order from touchpoint where customer_id is not null
      union all select day, customer_id, true from order_current where counted)
group by customer_id;
