-- traffic_season: what an hour of a weekday usually brings, over the last traffic_season_days days.
-- grain: (metric, weekday, hour)   reads: hourly_traffic, hourly_sales, hourly_sessions   parameters: traffic_season_days
-- Hours in which nothing was recorded count as 0, from the first day on that has one of the metrics.
/*
limits = ["the hour that a change to daylight saving skips counts as an hour with 0; the one it repeats as one hour"]
[columns]
metric = { about = "touchpoints, sessions (in the hour in which they began), page_views, orders or net_cents (the last two: counted, in the reporting currency)" }
weekday = { about = "1 (Monday) to 7 (Sunday), ISO 8601" }
hour = { about = "0 to 23, in the reporting time zone" }
days = { about = "days of this weekday that were looked at" }
mean = { unit = "count or minor units", about = "of this hour of those days" }
median = { unit = "count or minor units", about = "of this hour of those days" }

[[audits]]
name = "every weekday has 24 hours"
query = "select metric, weekday from traffic_season group by metric, weekday having count(*) <> 24"

[[audits]]
name = "weekdays and hours are those that there are"
query = """
    select * from traffic_season where weekday not between 1 and 7 or hour not between 0 and 23 or days < 0
"""

[[questions]]
ask = "When in the week do most orders come?"
sql = "select weekday, hour, mean from traffic_season where metric = 'orders' order by mean desc, weekday, hour limit 10"
*/
with measured as (
    select 'touchpoints' as metric, day, cast(hour as integer) as hour, cast(sum(touchpoints) as decimal(38, 0)) as value
    from hourly_traffic group by day, hour
    union all
    select 'page_views', day, cast(hour as integer), cast(touchpoints as decimal(38, 0)) from hourly_traffic where event_type = 'page_view'
    union all
    select 'sessions', day, hour, cast(sessions as decimal(38, 0)) from hourly_sessions
    union all
    select 'orders', day, cast(hour as integer), cast(orders as decimal(38, 0)) from hourly_sales where currency = $reporting_currency
    union all
    select 'net_cents', day, cast(hour as integer), cast(net_cents as decimal(38, 0)) from hourly_sales where currency = $reporting_currency
),
calendar as (
    select unnest(generate_series(first_day, $as_of, interval 1 day)) as day
    from (select greatest(min(day), $as_of - cast($traffic_season_days as integer) + 1) as first_day from measured having count(*) > 0)
),
hours as (
    select cast(day as date) as day, metric, unnest(generate_series(0, 23)) as hour
    from calendar
    cross join (select unnest(['touchpoints', 'sessions', 'page_views', 'orders', 'net_cents']) as metric) n
),
series as (
    -- 1969-12-29 was a Monday; before 1980 there are no events.
    select h.metric, cast(date_diff('day', cast('1969-12-29' as date), h.day) % 7 + 1 as integer) as weekday, cast(h.hour as integer) as hour, coalesce(m.value, 0) as value
    from hours h left join measured m on m.metric = h.metric and m.day = h.day and m.hour = h.hour
)
select metric, weekday, hour, count(*) as days, cast(sum(value) as double) / count(*) as mean, median(cast(value as double)) as median
from series
group by metric, weekday, hour
