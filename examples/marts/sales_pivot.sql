-- sales_pivot: a measure by a dimension, a column for each month: here the sales of each category, in the reporting currency.
-- grain: (year, dimension)   reads: daily_category
/*
limits = ["the year of as_of has its months up to as_of, the last of them perhaps in part"]

[columns]
year = { about = "the calendar year" }
dimension = { about = "the category; (none) where the items have none" }
january = { unit = "minor units", about = "its sales in January; null where there were none, as in every month" }
february = { unit = "minor units", about = "in February" }
march = { unit = "minor units", about = "in March" }
april = { unit = "minor units", about = "in April" }
may = { unit = "minor units", about = "in May" }
june = { unit = "minor units", about = "in June" }
july = { unit = "minor units", about = "in July" }
august = { unit = "minor units", about = "in August" }
september = { unit = "minor units", about = "in September" }
october = { unit = "minor units", about = "in October" }
november = { unit = "minor units", about = "in November" }
december = { unit = "minor units", about = "in December" }
total = { unit = "minor units", about = "in the whole year" }

[[audits]]
name = "months sum to the year"
query = """
    select * from sales_pivot
    where coalesce(january, 0) + coalesce(february, 0) + coalesce(march, 0) + coalesce(april, 0) + coalesce(may, 0) + coalesce(june, 0)
        + coalesce(july, 0) + coalesce(august, 0) + coalesce(september, 0) + coalesce(october, 0) + coalesce(november, 0)
        + coalesce(december, 0) <> total
"""

[[questions]]
ask = "Which of them grew most from March to April?"
sql = "select year, dimension, april - march as growth from sales_pivot order by growth desc nulls last, year, dimension"
*/
-- For another measure or dimension change the two words before `as`, such as net_cents by region, and the table, here and behind `reads`,
-- where this one has them not (docs/tables.md). A measure must add up over days: orders, units and money do, customers do not.
-- For a second pivot copy this file under another name, and put that in the place of `sales_pivot` everywhere.
with cell as (
    select category as dimension, sales_cents as measure, day
    from daily_category
    where currency = $reporting_currency
),
dated as (
    select dimension, measure, cast(extract(year from day) as integer) as year, cast(extract(month from day) as integer) as month from cell
)
select year, dimension,
       cast(sum(measure) filter (where month = 1) as decimal(38, 0)) as january,
       cast(sum(measure) filter (where month = 2) as decimal(38, 0)) as february,
       cast(sum(measure) filter (where month = 3) as decimal(38, 0)) as march,
       cast(sum(measure) filter (where month = 4) as decimal(38, 0)) as april,
       cast(sum(measure) filter (where month = 5) as decimal(38, 0)) as may,
       cast(sum(measure) filter (where month = 6) as decimal(38, 0)) as june,
       cast(sum(measure) filter (where month = 7) as decimal(38, 0)) as july,
       cast(sum(measure) filter (where month = 8) as decimal(38, 0)) as august,
       cast(sum(measure) filter (where month = 9) as decimal(38, 0)) as september,
       cast(sum(measure) filter (where month = 10) as decimal(38, 0)) as october,
       cast(sum(measure) filter (where month = 11) as decimal(38, 0)) as november,
       cast(sum(measure) filter (where month = 12) as decimal(38, 0)) as december,
       cast(sum(measure) as decimal(38, 0)) as total
from dated
group by year, dimension
