-- active_day: the days on which a customer was active, as each kind of cohort counts activity; all that cohorts know of what customers did.
-- grain: (activity, customer_id, day)   reads: customer_day   parameters: touch_cohorts
-- Kept when days are sealed: a customer's first period is what later ones are measured by.
/*
unit = "customer"
priority = 10
internal = true
kept_by = "day"
[columns]
activity = { about = "orders: days with a counted order of any currency; any: also those with an identified touchpoint, where some kind of cohort counts them" }
customer_id = { about = "the customer" }
day = { about = "the day" }
orders = { about = "counted orders of all currencies" }
net_cents = { unit = "minor units", about = "net of the counted orders of the reporting currency" }

[[audits]]
name = "activity is orders or any, and orders are orders"
query = """
    select * from active_day where activity not in ('orders', 'any') or orders < 0 or (activity = 'orders' and orders = 0)
"""
*/
select 'orders' as activity, customer_id, day, cast(orders + orders_other_currency as bigint) as orders, cast(net_cents as decimal(38, 0)) as net_cents
from customer_day where orders + orders_other_currency > 0
union all
select 'any', customer_id, day, cast(orders + orders_other_currency as bigint), cast(net_cents as decimal(38, 0))
from customer_day where array_length($touch_cohorts) > 0 and (orders + orders_other_currency > 0 or touchpoints > 0)
