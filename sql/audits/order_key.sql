-- order_key: orders that are there more than once on one day.
-- grain: (day, order_id)   reads: order_current   parameters: low, high   severity: error
select day, order_id, count(*) as copies
from order_current where day between $low and $high
group by day, order_id having count(*) > 1;
