-- daily_users: key day, the running totals are views over it: a late first day changes two rows here, not all later ones
select day, count(distinct customer_id) as active_customers, count(distinct customer_id) filter (where orders > 0 or orders_other_currency > 0) as buyers,
       count(distinct customer_id) filter (where day = first_active_day) as new_customers, count(distinct customer_id) filter (where day = first_order_day) as new_buyers
from customer_day join customer_first using (customer_id)
group by day;
