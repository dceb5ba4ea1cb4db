-- product_performance: a product's sales, stock, reviews and views in a calendar month, and its rank among the others.
-- grain: (product_id, month)   reads: daily_product_sales, daily_product_activity, daily_stock, product_day, product_label
-- A row for each month in which the product was sold in the reporting currency or touched. A day without a reading of stock has the last
-- reading before it, as its least and greatest stock too; days before the first reading have none.
/*
formula = "margin = profit / revenue; growth = (this month - the month before) / the month before; days_of_inventory = stock_average / (units_sold / days of the month up to as_of)"
limits = ["only what was sold in the reporting currency", "an item without a unit cost costs 0, so profit and margin are upper bounds where costs are missing", "views and sales are of the same month, not of the same visitor"]
[columns]
product_id = { about = "the product" }
month = { about = "the month's first day" }
is_complete = { about = "the month has ended by as_of" }
name = { about = "of the product topic" }
category = { about = "of the product topic, else of its latest order item" }
subcategory = { about = "as category" }
orders = { about = "counted orders with the product" }
units_sold = { unit = "pieces", about = "in those orders" }
revenue = { unit = "minor units", about = "sales: gross less item discounts" }
profit = { unit = "minor units", about = "sales less cost, where it is known" }
margin = { unit = "fraction", about = "profit by revenue; null where revenue is 0 or less" }
revenue_growth = { unit = "fraction", about = "of revenue since the calendar month before; null where that has no row or no positive revenue, or where this month is incomplete" }
units_growth = { unit = "fraction", about = "of units_sold, as revenue_growth" }
stock_average = { unit = "pieces", about = "mean of the days' last readings, over the days up to as_of that have one, carried forward" }
stock_minimum = { unit = "pieces", about = "the least reading of those days" }
stock_maximum = { unit = "pieces", about = "the greatest reading of those days" }
days_of_inventory = { unit = "days", about = "how long the average stock lasts at the month's rate; null where nothing was sold" }
reviews = { about = "reviews, with a score or without" }
mean_score = { unit = "1 to 5", about = "mean of the scores; null without one" }
views = { about = "product views" }
view_to_purchase = { unit = "fraction", about = "orders by views; over 1 where buyers did not look; null without a view" }
rank_in_category = { about = "by revenue within month and category, 1 is the greatest; of equals, the lesser product_id comes first" }
rank_overall = { about = "the same within the month" }

[[audits]]
name = "margin is within 100 %"
severity = "warning"
query = "select product_id, month, margin from product_performance where abs(margin) > 1"
remedy = "A cost of more than twice the price, or in another unit: look at unit_cost_cents of order_item."

[[audits]]
name = "mean score is 1 to 5"
query = "select product_id, month, mean_score from product_performance where mean_score < 1 or mean_score > 5"

[[audits]]
name = "stock average lies between the extremes"
query = "select product_id, month from product_performance where stock_average < stock_minimum or stock_average > stock_maximum"

[[audits]]
name = "ranks have no gaps"
query = "select month from product_performance group by month having max(rank_overall) <> count(*)"

[[audits]]
name = "sums are those of the days"
query = """
    select product_id, month, p.revenue, s.revenue, p.units_sold, s.units
    from product_performance as p
    full join (
        select product_id, cast(date_trunc('month', day) as date) as month, sum(sales_cents) as revenue, sum(units) as units
        from daily_product_sales where currency = $reporting_currency and day <= $as_of group by product_id, 2
    ) as s using (product_id, month)
    where (coalesce(p.revenue, 0) <> coalesce(s.revenue, 0) or coalesce(p.units_sold, 0) <> coalesce(s.units, 0))
      and month not in (select cast(date_trunc('month', day) as date) from day_state where changed_at > $read_at)
"""

[[questions]]
ask = "Which products grew most in the last complete month?"
sql = "select product_id, name, revenue, revenue_growth from product_performance where month = (select max(month) from product_performance where is_complete) and revenue_growth is not null order by revenue_growth desc, product_id limit 10"

[[questions]]
ask = "What is looked at, but not bought?"
sql = "select product_id, name, views, orders, view_to_purchase from product_performance where views >= 100 order by view_to_purchase, product_id limit 10"
*/
with sold as (
    select product_id, cast(date_trunc('month', day) as date) as month, cast(sum(orders) as bigint) as orders, cast(sum(units) as bigint) as units_sold,
           cast(sum(sales_cents) as decimal(38, 0)) as revenue, cast(sum(cost_cents) as decimal(38, 0)) as cost
    from daily_product_sales
    where currency = $reporting_currency
    group by 1, 2
),
touched as (
    select product_id, cast(date_trunc('month', day) as date) as month, cast(sum(views) as bigint) as views, cast(sum(reviews) as bigint) as reviews
    from daily_product_activity
    group by 1, 2
),
scored as (
    select product_id, cast(date_trunc('month', day) as date) as month, cast(sum(score_sum) as double) / nullif(sum(scored_reviews), 0) as mean_score
    from product_day
    group by 1, 2
),
reading as (
    -- held_days: how many days of its own month, up to as_of, the day's last reading stands for.
    select product_id, cast(date_trunc('month', day) as date) as month, day, stock_min, stock_max, stock_last,
           date_diff('day', day, least(coalesce(lead(day) over (partition by product_id order by day), $as_of + 1), last_day(day) + 1, $as_of + 1)) as held_days
    from daily_stock
),
stock as (
    select product_id, month, min(day) as first_day, min(stock_min) as stock_minimum, max(stock_max) as stock_maximum,
           arg_max(stock_last, day) filter (where stock_last is not null) as stock_last,
           sum(cast(stock_last as decimal(38, 0)) * held_days) as held, cast(sum(held_days) as bigint) as held_days
    from reading
    group by product_id, month
),
product_month as (
    select product_id, month from sold
    union
    select product_id, month from touched
    union
    select product_id, month from stock
),
gathered as (
    select m.product_id, m.month, least(last_day(m.month), $as_of) as last_elapsed, o.product_id is not null or t.product_id is not null as has_row,
           coalesce(o.orders, 0) as orders, coalesce(o.units_sold, 0) as units_sold, coalesce(o.revenue, 0) as revenue,
           coalesce(o.revenue - o.cost, 0) as profit, coalesce(t.views, 0) as views, coalesce(t.reviews, 0) as reviews, r.mean_score,
           s.stock_minimum, s.stock_maximum, s.first_day, coalesce(s.held, 0) as held, coalesce(s.held_days, 0) as held_days,
           last_value(s.stock_last ignore nulls) over (partition by m.product_id order by m.month rows between unbounded preceding and 1 preceding) as carried
    from product_month m
    left join sold o on o.product_id = m.product_id and o.month = m.month
    left join touched t on t.product_id = m.product_id and t.month = m.month
    left join scored r on r.product_id = m.product_id and r.month = m.month
    left join stock s on s.product_id = m.product_id and s.month = m.month
),
stocked as (
    -- carried_days: days from the month's first on that have only the reading of a month before.
    select product_id, month, last_elapsed, orders, units_sold, revenue, profit, views, reviews, mean_score, stock_minimum, stock_maximum, held, held_days, carried,
           case when carried is null then 0 else date_diff('day', month, coalesce(first_day, last_elapsed + 1)) end as carried_days
    from gathered
    where has_row
),
measured as (
    select product_id, month, last_elapsed = last_day(month) as is_complete, orders, units_sold, revenue, profit, views, reviews, mean_score,
           cast(held + coalesce(carried, 0) * carried_days as double) / nullif(held_days + carried_days, 0) as stock_average,
           least(stock_minimum, case when carried_days > 0 then carried end) as stock_minimum,
           greatest(stock_maximum, case when carried_days > 0 then carried end) as stock_maximum,
           cast(units_sold as double) / (date_diff('day', month, last_elapsed) + 1) as units_per_day,
           lag(month) over (partition by product_id order by month) = cast(month - interval 1 month as date) as follows,
           lag(revenue) over (partition by product_id order by month) as revenue_before,
           lag(units_sold) over (partition by product_id order by month) as units_before
    from stocked
)
select m.product_id, m.month, m.is_complete, l.name, l.category, l.subcategory, m.orders, m.units_sold, m.revenue, m.profit,
       cast(m.profit as double) / nullif(cast(greatest(m.revenue, 0) as double), 0) as margin,
       case when m.is_complete and m.follows
            then cast(m.revenue - m.revenue_before as double) / nullif(cast(greatest(m.revenue_before, 0) as double), 0) end as revenue_growth,
       case when m.is_complete and m.follows then cast(m.units_sold - m.units_before as double) / nullif(cast(m.units_before as double), 0) end as units_growth,
       m.stock_average, m.stock_minimum, m.stock_maximum, m.stock_average / nullif(m.units_per_day, 0) as days_of_inventory,
       m.reviews, m.mean_score, m.views, cast(m.orders as double) / nullif(cast(m.views as double), 0) as view_to_purchase,
       row_number() over (partition by m.month, l.category order by m.revenue desc, m.product_id) as rank_in_category,
       row_number() over (partition by m.month order by m.revenue desc, m.product_id) as rank_overall
from measured m
left join product_label l on l.product_id = m.product_id
