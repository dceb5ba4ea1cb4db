-- region_share: what each region ordered in the last share_days days, and its share of it all.
-- grain: (region)   reads: daily_region   parameters: share_days
/*
limits = ["only orders in the reporting currency; sales_trend and finance_month show the others"]
[columns]
region = { about = "the orders' region; (none) where they have none" }
orders = { about = "counted orders" }
units = { about = "pieces sold" }
revenue = { unit = "minor units", about = "net of counted orders" }
share = { unit = "fraction", about = "revenue by the sum over all regions; null where that is 0 or less" }

[[audits]]
name = "shares sum to 1"
query = "select count(*) from region_share having sum(share) not between 0.999999 and 1.000001"

[[questions]]
ask = "Where do the last 30 days' orders come from?"
sql = "select region, orders, revenue, share from region_share order by revenue desc, region"
*/
with sold as (
    select region, cast(sum(orders) as bigint) as orders, cast(sum(units) as bigint) as units, cast(sum(net_cents) as decimal(38, 0)) as revenue
    from daily_region
    where currency = $reporting_currency and day > $as_of - cast($share_days as integer)
    group by region
)
select region, orders, units, revenue,
       cast(revenue as double) / nullif(cast(greatest(sum(revenue) over (), 0) as double), 0) as share
from sold
