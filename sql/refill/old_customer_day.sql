-- old_customer_day: each customer's activity on the days that are filled anew, as it was.
-- grain: (day, customer_id)   reads: customer_day, refill_day   writes: old_customer_day   parameters: first, last
create or replace temp table old_customer_day as
select day, customer_id, touchpoints, orders + orders_other_currency as orders
from customer_day where day between $first and $last and day in (select day from refill_day);
