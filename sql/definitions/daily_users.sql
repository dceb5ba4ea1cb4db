-- daily_users: its defining SELECT over the accepted rows of days that are not sealed; what verify, repair and rebuild compare and fill it with.
-- grain: day   reads: customer_day, customer_first
select day, count(distinct customer_id) as active_customers,
       count(distinct customer_id) filter (where orders > 0 or orders_other_currency > 0) as buyers,
       count(distinct customer_id) filter (where day = first_active_day) as new_customers,
       count(distinct customer_id) filter (where day = first_order_day) as new_buyers
from main.customer_day join main.customer_first using (customer_id)
group by day
