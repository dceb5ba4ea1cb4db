-- category_share: what each category sold in the last share_days days, and its share of it all.
-- grain: (category)   reads: daily_category   parameters: share_days
-- Sales of items know neither order discounts nor refunds, so they sum to more than the net of orders does.
/*
limits = ["only orders in the reporting currency; sales_trend and finance_month show the others"]
[columns]
category = { about = "the items' category; (none) where they have none" }
units = { about = "pieces sold" }
revenue = { unit = "minor units", about = "sales: gross less item discounts" }
share = { unit = "fraction", about = "revenue by the sum over all categories; null where that is 0 or less" }

[[audits]]
name = "shares sum to 1"
query = "select count(*) from category_share having sum(share) not between 0.999999 and 1.000001"

[[questions]]
ask = "Which categories make the most of the last 30 days' sales?"
sql = "select category, revenue, share from category_share order by revenue desc, category"
*/
with sold as (
    select category, cast(sum(units) as bigint) as units, cast(sum(sales_cents) as decimal(38, 0)) as revenue
    from daily_category
    where currency = $reporting_currency and day > $as_of - cast($share_days as integer)
    group by category
)
select category, units, revenue,
       cast(revenue as double) / nullif(cast(greatest(sum(revenue) over (), 0) as double), 0) as share
from sold
