-- attribution_path: the ways of channels by month: how many converted, with which value, and how many did not.
-- grain: (month, path)   reads: attribution_credit, attribution_null   parameters: touch_window_hours
/*
priority = 14
limits = ["Conversions without a touch have no path.", "A path that did not convert counts once its last touch's window has passed as_of, in the month of that touch."]
[columns]
month = { about = "month of the conversion, or of the last touch where there was none; its first day" }
path = { about = "the channels in order of touch, by >" }
conversions = { about = "conversions that came this way" }
value_cents = { unit = "minor units", about = "their value" }
nulls = { about = "journeys of this way that did not convert" }
mean_touches = { about = "touches of the path" }
mean_hours = { unit = "hours", about = "mean time from first touch to conversion; null where none converted" }

[[audits]]
name = "conversions and their value are those with a touch"
query = """
    select month, given.conversions, sold.orders, given.cents, sold.net_cents
    from (select month, sum(conversions) as conversions, sum(value_cents) as cents from attribution_path where conversions > 0 group by month) as given
    full join (
        select cast(date_trunc('month', order_day) as date) as month, count(*) as orders, sum(net_cents) as net_cents
        from attribution_credit where place = 1 and event_id is not null group by 1
    ) as sold using (month)
    where given.conversions is distinct from sold.orders or given.cents is distinct from sold.net_cents
"""

[[audits]]
name = "a path has touches, and converted or did not"
query = """
    select * from attribution_path where mean_touches < 1 or mean_hours < 0 or conversions < 0 or nulls < 0 or conversions + nulls = 0
"""

[[questions]]
ask = "Which ways lead to the most orders?"
sql = "select month, path, conversions, nulls, mean_hours from attribution_path order by month, conversions desc, path limit 20"
*/
with journey as (
    select cast(date_trunc('month', order_day) as date) as month, path, 1 as conversions, net_cents, 0 as nulls, places,
           cast(date_diff('microsecond', first_at, ordered_at) as double) / 3600000000 as hours
    from attribution_credit where path is not null
    union all
    select cast(date_trunc('month', last_day) as date) as month, path, 0 as conversions, 0 as net_cents, 1 as nulls, places, cast(null as double) as hours
    from attribution_null
    where path is not null and date_diff('microsecond', last_at, cast($as_of_end as timestamp)) >= cast($touch_window_hours as bigint) * 3600000000
)
select month, path, cast(sum(conversions) as bigint) as conversions, cast(sum(net_cents) as decimal(38, 0)) as value_cents, cast(sum(nulls) as bigint) as nulls,
       cast(sum(places) as double) / count(*) as mean_touches, sum(hours) / nullif(cast(sum(conversions) as double), 0) as mean_hours
from journey group by month, path
