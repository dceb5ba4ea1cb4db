-- top_customers: the customers who spent most in the last top_days days.
-- grain: (rank)   reads: customer_day   parameters: top_days, top_count
/*
limits = ["days that are sealed are not looked at, if the window reaches back to them", "only orders in the reporting currency"]
[columns]
rank = { about = "1 is the greatest revenue; of equals, the lesser customer_id comes first" }
customer_id = { about = "the customer" }
orders = { about = "counted orders" }
units = { about = "pieces bought" }
revenue = { unit = "minor units", about = "net of counted orders" }

[[audits]]
name = "each customer once"
query = "select customer_id from top_customers group by customer_id having count(*) > 1"

[[audits]]
name = "ranks go by revenue, without gaps"
query = """
    select rank, customer_id from top_customers
    qualify rank <> row_number() over (order by revenue desc, customer_id) or rank > $top_count
"""

[[questions]]
ask = "Who are the ten best customers of the last 90 days?"
sql = "select rank, customer_id, orders, revenue from top_customers where rank <= 10 order by rank"
*/
with bought as (
    select customer_id, cast(sum(orders) as bigint) as orders, cast(sum(units) as bigint) as units, cast(sum(net_cents) as decimal(38, 0)) as revenue
    from customer_day
    where day > $as_of - cast($top_days as integer) and orders > 0
    group by customer_id
),
top as (
    select customer_id, orders, units, revenue from bought order by revenue desc, customer_id limit $top_count
)
select row_number() over (order by revenue desc, customer_id) as rank, customer_id, orders, units, revenue from top
