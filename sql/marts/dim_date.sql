-- dim_date: the calendar from the first day of which anything is known to as_of, a row each day.
-- grain: (day)   reads: day_state   parameters: seasons
/*
priority = 10
[columns]
day = { about = "the day" }
weekday = { about = "1 (Monday) to 7 (Sunday), ISO 8601" }
week = { about = "ISO week, 1 to 53; it belongs to week_year" }
week_year = { about = "the year of the ISO week, that of its Thursday" }
month = { about = "1 to 12" }
quarter = { about = "1 to 4" }
year = { about = "the calendar year" }
is_weekend = { about = "Saturday or Sunday" }
season = { about = "what marts.sales.seasons calls the month; null where it says nothing" }

[[audits]]
name = "calendar has no gaps"
query = "select day from (select day, lead(day) over (order by day) as next_day from dim_date) where next_day <> day + 1"
remedy = "tidemark marts refresh dim_date"

[[questions]]
ask = "Do weekends sell more than working days?"
sql = "select s.currency, d.is_weekend, avg(cast(s.revenue as double)) as mean_revenue from sales_trend s join dim_date d on d.day = s.day group by s.currency, d.is_weekend order by s.currency, d.is_weekend"
*/
with calendar as (
    select unnest(generate_series(first_day, $as_of, interval 1 day)) as day from (select min(day) as first_day from day_state)
),
dated as (
    -- 1969-12-29 was a Monday; before 1980 there are no events.
    select cast(day as date) as day, cast(date_diff('day', cast('1969-12-29' as date), cast(day as date)) % 7 + 1 as integer) as weekday,
           cast(extract(month from day) as integer) as month
    from calendar
)
select day, weekday, cast(extract(week from day) as integer) as week, cast(extract(year from day - weekday + 4) as integer) as week_year, month,
       cast(extract(quarter from day) as integer) as quarter, cast(extract(year from day) as integer) as year, weekday >= 6 as is_weekend,
       nullif(trim(split_part(cast($seasons as varchar), ',', month)), '') as season
from dated
