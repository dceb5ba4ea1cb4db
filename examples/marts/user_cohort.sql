-- user_cohort: behavioural cohorts: customers by what led to their first order, what it began with, and whether its price was reduced.
-- grain: (cohort_name, customer_id)   reads: customer_first, order_current, order_item, touchpoint
-- It takes the place of the mart that comes under this name: cohort_retention and cohort_summary then show its cohorts, of the kind `user`.
/*
unit = "customer"
priority = 10
kept_by = "cohort_date"
limits = ["a customer whose first order lies on a day that was sealed before this mart came is in none of the cohorts"]

[columns]
customer_id = { about = "the customer" }
cohort_name = { about = "what was done: channel, category, or price, and which" }
cohort_date = { about = "the day of the first order" }

[[audits]]
name = "a customer of the one kind is of the others"
query = "select customer_id from user_cohort group by customer_id having count(*) <> 3"
remedy = "Where you have left out a kind, or added one, change the number."

[[questions]]
ask = "Do customers who came by mail stay longer than those who came by an ad?"
sql = """
    select cohort_name, period_number, retention from cohort_summary
    where cohort_kind = 'user' and cohort_name like 'channel: %' and period_kind = 'month' order by cohort_name, period_number
"""
*/
-- All that is looked at is of the day of the first order, so that a day which is sealed takes all of it along.
-- For other cohorts change the SELECTs at the end: each gives every customer a name; a customer is once in each cohort.
with first_order as (
    select f.customer_id, f.first_order_day as day, o.order_id, o.ordered_at, o.discount_total_cents
    from customer_first as f join order_current as o on o.customer_id = f.customer_id and o.day = f.first_order_day
    where o.counted
    qualify row_number() over (partition by f.customer_id order by o.ordered_at, o.order_id) = 1
),
last_touch as (
    select f.customer_id, t.channel
    from first_order as f join touchpoint as t on t.customer_id = f.customer_id and t.day = f.day and t.occurred_at <= f.ordered_at
    qualify row_number() over (partition by f.customer_id order by t.occurred_at desc, t.event_id desc) = 1
)
select f.customer_id, concat('channel: ', coalesce(t.channel, '(none)')) as cohort_name, f.day as cohort_date
from first_order as f left join last_touch as t on t.customer_id = f.customer_id
union all
select f.customer_id, concat('category: ', coalesce(i.category, '(none)')), f.day
from first_order as f left join order_item as i on i.day = f.day and i.order_id = f.order_id and i.line = 1
union all
select customer_id, case when discount_total_cents > 0 then 'price: reduced' else 'price: full' end, day from first_order
