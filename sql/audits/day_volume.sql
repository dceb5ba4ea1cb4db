-- day_volume: closed days of the last week with less than a quarter, or more than four times, of what the 28 days before usually had.
-- grain: (day, counted)   reads: hourly_traffic, hourly_sales, progress   severity: warning
-- remedy: Events that are missing, or came twice? tidemark explain DAY says what came late; traffic_anomaly compares in finer ways.
with counts as (
    select day, 'touchpoints' as counted, sum(touchpoints) as number from hourly_traffic group by day
    union all
    select day, 'orders' as counted, sum(orders) as number from hourly_sales group by day
),
dense as (
    select d.day, d.counted, coalesce(c.number, 0) as number
    from (
        select counted, cast(unnest(generate_series(min(day), (select closed_before - 1 from progress), interval 1 day)) as date) as day
        from counts group by counted
    ) as d
    left join counts as c on c.day = d.day and c.counted = d.counted
),
compared as (
    select *, median(number) over before as usual, count(*) over before as days
    from dense
    window before as (partition by counted order by day rows between 28 preceding and 1 preceding)
)
select day, counted, number, usual
from compared
where day >= (select closed_before - 7 from progress) and days >= 7 and usual >= 100 and (number < usual / 4 or number > usual * 4);
