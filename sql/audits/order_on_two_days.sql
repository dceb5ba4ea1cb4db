-- order_on_two_days: orders whose versions give ordered_at on more than one day; each day has a row of its own.
-- grain: order_id   reads: order_current   severity: warning
-- Counted first, and only what comes twice is looked at: a third less than days of all orders.
select order_id, count(*) as days, min(day) as first_day, max(day) as last_day
from order_current semi join (select order_id from order_current group by order_id having count(*) > 1) using (order_id)
group by order_id;
