-- sales_trend: the counted orders of each day and currency, beside the days before, dense from the currency's first day to as_of.
-- grain: (day, currency)   reads: daily_sales   parameters: average_days
/*
formula = "mom = (revenue - revenue a month ago) / revenue a month ago; a month and a year ago: the same day number, clamped to the month's end"
[columns]
day = { about = "the day" }
currency = { about = "the currency of the orders" }
revenue = { unit = "minor units", about = "net of the day's counted orders: gross less discounts and refunds" }
orders = { about = "counted orders" }
moving_average = { unit = "minor units", about = "mean revenue of the last average_days days, this one among them; null before there are so many" }
mom = { unit = "fraction", about = "growth of revenue since the same day a month ago; null where that day is not there or had no positive revenue" }
yoy = { unit = "fraction", about = "growth of revenue since the same day a year ago; null as with mom" }

[[audits]]
name = "no day is missing"
query = "select currency from sales_trend group by currency having date_diff('day', min(day), max(day)) + 1 <> count(*)"

[[audits]]
name = "revenue and orders are those of the day"
query = """
    select day, currency, t.revenue, s.revenue, t.orders, s.orders
    from sales_trend as t
    full join (select day, currency, sum(net_cents) as revenue, sum(orders) as orders from daily_sales where day <= $as_of group by day, currency) as s
        using (day, currency)
    where (coalesce(t.revenue, 0) <> coalesce(s.revenue, 0) or coalesce(t.orders, 0) <> coalesce(s.orders, 0))
      and day not in (select day from day_state where changed_at > $read_at)
"""

[[questions]]
ask = "How do the last seven days compare with the week before?"
sql = "select currency, day, revenue, moving_average, mom from sales_trend where day > (select max(day) from sales_trend) - 14 order by currency, day desc"
*/
with sold as (
    select currency, day, cast(sum(net_cents) as decimal(38, 0)) as revenue, cast(sum(orders) as bigint) as orders
    from daily_sales group by currency, day
),
calendar as (
    select currency, unnest(generate_series(first_day, $as_of, interval 1 day)) as day
    from (select currency, min(day) as first_day from sold group by currency)
),
series as (
    select cast(c.day as date) as day, c.currency, coalesce(s.revenue, 0) as revenue, coalesce(s.orders, 0) as orders
    from calendar c left join sold s on s.currency = c.currency and s.day = cast(c.day as date)
),
averaged as (
    select day, currency, revenue, orders,
           case when count(*) over last_days = $average_days then cast(sum(revenue) over last_days as double) / $average_days end as moving_average
    from series
    window last_days as (partition by currency order by day rows between $average_days - 1 preceding and current row)
)
select a.day, a.currency, a.revenue, a.orders, a.moving_average,
       cast(a.revenue - m.revenue as double) / nullif(cast(greatest(m.revenue, 0) as double), 0) as mom,
       cast(a.revenue - y.revenue as double) / nullif(cast(greatest(y.revenue, 0) as double), 0) as yoy
from averaged a
left join series m on m.currency = a.currency and m.day = cast(a.day - interval 1 month as date)
left join series y on y.currency = a.currency and y.day = cast(a.day - interval 1 year as date)
