-- traffic_anomaly: five daily figures against the baseline_days days before, dense from the first day that has one of them to as_of.
-- grain: (day, metric)   reads: hourly_traffic, daily_sessions, daily_sales   parameters: average_days, baseline_days, anomaly_deviations, mad_factor
-- The day itself is no part of what it is compared with: else a spike raises the deviation that it is measured by.
/*
formula = "z = (value - mean) / deviation; robust_z = (value - median) / (mad_factor * mad)"
limits = ["weekdays are not told apart: in a shop with a strong weekly pattern look at robust_z and at traffic_season too"]
[columns]
day = { about = "the day" }
metric = { about = "touchpoints, sessions, page_views, orders or net_cents (the last two: counted, in the reporting currency)" }
value = { unit = "count or minor units", about = "the figure of the day, 0 where nothing was recorded" }
moving_average = { unit = "as value", about = "mean of the last average_days days, this one among them; null before there are so many" }
yoy = { unit = "fraction", about = "growth since the same day number a year ago (29 February: the 28th); null where that day is not there or had no positive value" }
mean = { unit = "as value", about = "of the baseline_days days before; null, with all that follows from it, while there are fewer" }
deviation = { unit = "as value", about = "sample standard deviation of those days" }
z = { unit = "deviations", about = "how far the value lies from the mean; null where the deviation is 0" }
median = { unit = "as value", about = "of those days" }
mad = { unit = "as value", about = "median absolute deviation of those days from their median" }
robust_z = { unit = "deviations", about = "as z, by median and mad_factor * mad (1.4826 makes it a standard deviation if values are normal); null where mad is 0" }
is_anomaly = { about = "|z| is greater than anomaly_deviations; false where there is no z" }

[[audits]]
name = "volume is as usual"
severity = "warning"
query = "select day, metric, value, mean, z from traffic_anomaly where is_anomaly and day > (select max(day) from traffic_anomaly) - 7"
remedy = "A campaign, or events that are missing or sent twice? tidemark explain DAY says what came late."

[[audits]]
name = "no day is missing"
query = "select metric from traffic_anomaly group by metric having date_diff('day', min(day), max(day)) + 1 <> count(*)"

[[audits]]
name = "touchpoints are those of the day"
query = """
    select day, a.value, t.touchpoints
    from (select day, value from traffic_anomaly where metric = 'touchpoints') as a
    join (select day, sum(touchpoints) as touchpoints from hourly_traffic group by day) as t using (day)
    where a.value <> t.touchpoints and day not in (select day from day_state where changed_at > $read_at)
"""

[[questions]]
ask = "Which days were unlike the 30 days before them?"
sql = "select day, metric, value, mean, z, robust_z from traffic_anomaly where is_anomaly order by day desc, metric"
*/
with measured as (
    select 'touchpoints' as metric, day, cast(sum(touchpoints) as decimal(38, 0)) as value from hourly_traffic group by day
    union all
    select 'page_views', day, cast(sum(touchpoints) as decimal(38, 0)) from hourly_traffic where event_type = 'page_view' group by day
    union all
    select 'sessions', day, cast(sum(sessions) as decimal(38, 0)) from daily_sessions group by day
    union all
    select 'orders', day, cast(sum(orders) as decimal(38, 0)) from daily_sales where currency = $reporting_currency group by day
    union all
    select 'net_cents', day, cast(sum(net_cents) as decimal(38, 0)) from daily_sales where currency = $reporting_currency group by day
),
calendar as (
    select unnest(generate_series(first_day, $as_of, interval 1 day)) as day from (select min(day) as first_day from measured)
),
series as (
    select cast(c.day as date) as day, n.metric, coalesce(m.value, 0) as value
    from calendar c
    cross join (select unnest(['touchpoints', 'sessions', 'page_views', 'orders', 'net_cents']) as metric) n
    left join measured m on m.metric = n.metric and m.day = cast(c.day as date)
),
averaged as (
    select day, metric, value,
           case when count(*) over last_days = $average_days then cast(sum(value) over last_days as double) / $average_days end as moving_average
    from series
    window last_days as (partition by metric order by day rows between $average_days - 1 preceding and current row)
),
days_before as (
    select s.metric, s.day, b.value, median(cast(b.value as double)) over (partition by s.metric, s.day) as median
    from (select metric, day, unnest(generate_series(1, $baseline_days)) as back from series) s
    join series b on b.metric = s.metric and b.day = s.day - cast(s.back as integer)
),
baseline as (
    select metric, day, sum(value) as total, min(median) as median, median(abs(cast(value as double) - median)) as mad,
           case when min(value) = max(value) then cast(0 as double) else stddev_samp(cast(value as double)) end as deviation
    from days_before
    group by metric, day
    having count(*) = $baseline_days
),
judged as (
    select a.day, a.metric, a.value, a.moving_average,
           cast(a.value - y.value as double) / nullif(cast(greatest(y.value, 0) as double), 0) as yoy,
           cast(b.total as double) / $baseline_days as mean, b.deviation,
           cast(a.value * $baseline_days - b.total as double) / $baseline_days / nullif(b.deviation, 0) as z,
           b.median, b.mad, (cast(a.value as double) - b.median) / nullif(cast($mad_factor as double) * b.mad, 0) as robust_z
    from averaged a
    left join series y on y.metric = a.metric and y.day = cast(a.day - interval 1 year as date)
    left join baseline b on b.metric = a.metric and b.day = a.day
)
select day, metric, value, moving_average, yoy, mean, deviation, z, median, mad, robust_z,
       coalesce(abs(z) > cast($anomaly_deviations as double), false) as is_anomaly
from judged
