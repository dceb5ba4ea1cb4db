-- top_products: the products that sold best in the last top_days days.
-- grain: (rank)   reads: daily_product_sales, product_label   parameters: top_days, top_count
/*
limits = ["only orders in the reporting currency"]
[columns]
rank = { about = "1 is the greatest revenue; of equals, the lesser product_id comes first" }
product_id = { about = "the product" }
name = { about = "of the product topic" }
category = { about = "of the product topic, else of its latest order item" }
orders = { about = "counted orders with it" }
units = { about = "pieces sold" }
revenue = { unit = "minor units", about = "sales: gross less item discounts" }
profit = { unit = "minor units", about = "sales less cost, where it is known" }

[[audits]]
name = "each product once"
query = "select product_id from top_products group by product_id having count(*) > 1"

[[audits]]
name = "ranks go by revenue, without gaps"
query = """
    select rank, product_id from top_products
    qualify rank <> row_number() over (order by revenue desc, product_id) or rank > $top_count
"""

[[questions]]
ask = "Which ten products sold best in the last 90 days?"
sql = "select rank, product_id, name, units, revenue from top_products where rank <= 10 order by rank"
*/
with sold as (
    select product_id, cast(sum(orders) as bigint) as orders, cast(sum(units) as bigint) as units, cast(sum(sales_cents) as decimal(38, 0)) as revenue,
           cast(sum(cost_cents) as decimal(38, 0)) as cost
    from daily_product_sales
    where currency = $reporting_currency and day > $as_of - cast($top_days as integer)
    group by product_id
),
ranked as (
    select row_number() over (order by revenue desc, product_id) as rank, product_id, orders, units, revenue, cost from sold
)
select r.rank, r.product_id, l.name, l.category, r.orders, r.units, r.revenue, r.revenue - r.cost as profit
from ranked r
left join product_label l on l.product_id = r.product_id
where r.rank <= $top_count
