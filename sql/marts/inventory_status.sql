-- inventory_status: the last known stock of each product, and how long it lasts at the rate of the last stock_rate_days days.
-- grain: (product_id)   reads: daily_stock, daily_product_sales, product_label   parameters: stock_rate_days
/*
formula = "days_left = stock / (units / stock_rate_days)"
limits = ["only what was sold in the reporting currency counts as sold", "stock is what the product topic last said; sales since then are not taken off"]
[columns]
product_id = { about = "a product with at least one reading of stock" }
name = { about = "of the product topic" }
category = { about = "of the product topic, else of its latest order item" }
stock = { unit = "pieces", about = "the last reading up to as_of" }
read_on = { about = "the day of that reading" }
units = { unit = "pieces", about = "sold in the last stock_rate_days days" }
days_left = { unit = "days", about = "null where nothing was sold in those days" }

[[audits]]
name = "stock is not negative"
query = "select product_id, stock from inventory_status where stock < 0 or days_left < 0"

[[audits]]
name = "products are known"
query = """
    select i.product_id from inventory_status as i left join product_label as p on p.product_id = i.product_id where p.product_id is null
"""

[[questions]]
ask = "What runs out within a week?"
sql = "select product_id, name, stock, days_left from inventory_status where days_left <= 7 order by days_left, product_id"
*/
with last_reading as (
    select product_id, arg_max(stock_last, day) filter (where stock_last is not null) as stock, max(day) as read_on from daily_stock group by product_id
),
sold as (
    select product_id, cast(sum(units) as bigint) as units
    from daily_product_sales
    where currency = $reporting_currency and day > $as_of - cast($stock_rate_days as integer)
    group by product_id
)
select r.product_id, l.name, l.category, r.stock, r.read_on, coalesce(s.units, 0) as units,
       cast(r.stock as double) * $stock_rate_days / nullif(cast(s.units as double), 0) as days_left
from last_reading r
left join sold s on s.product_id = r.product_id
left join product_label l on l.product_id = r.product_id
