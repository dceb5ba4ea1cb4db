-- cohort_activity: what each member of a cohort did from the cohort's date on, a row per active day; cohort_retention is sums of it.
-- grain: (cohort_kind, cohort_name, customer_id, day)   reads: customer_first, customer, user_cohort, active_day
-- parameters: touch_cohorts
-- A member who was never active has one row, of the cohort's date, which may be ahead of as_of. A flag that a row is the first of its week (.., quarter, seven days since the cohort's date) makes
-- counts of customers sums of rows; such a row also carries the whole period's net, as far as the member's first period had it (kept_..): what GRR sums.
-- remaining_..: net from that day to the end of its calendar period, so that a period which the cohort's date cuts in two is counted from that date.
/*
unit = "customer"
priority = 15
internal = true
[columns]
cohort_kind = { about = "first_order, sign_up, first_touch, or user" }
cohort_name = { about = "which of the user's own cohorts; empty for the other kinds" }
customer_id = { about = "the member" }
cohort_date = { about = "the day that the member's periods are counted from" }
day = { about = "the active day" }
is_active = { about = "false on the only row of a member who was never active" }
is_first = { about = "the member's first row: counts members" }
is_last = { about = "the member's last active day" }
starts_week = { about = "the member's first active day in its week" }
starts_month = { about = "the same in its month" }
starts_quarter = { about = "the same in its quarter" }
starts_seven_days = { about = "the same in its seven days since the cohort's date" }
orders = { about = "counted orders of all currencies" }
net_cents = { unit = "minor units", about = "net of the counted orders of the reporting currency" }
kept_week_cents = { unit = "minor units", about = "on the first row of a week: its net, at most that of the member's first week, at least 0" }
kept_month_cents = { unit = "minor units", about = "the same for months" }
kept_quarter_cents = { unit = "minor units", about = "the same for quarters" }

[[audits]]
name = "each member begins once"
query = """
    select cohort_kind, cohort_name, customer_id from cohort_activity
    group by cohort_kind, cohort_name, customer_id
    having count(*) filter (where is_first) <> 1 or count(*) filter (where is_last) <> count(*) filter (where is_active and is_first)
        or min(day) < min(cohort_date) or min(cohort_date) <> max(cohort_date)
"""

[[audits]]
name = "kinds of cohorts are those that there are"
query = """
    select * from cohort_activity
    where cohort_kind not in ('first_order', 'sign_up', 'first_touch', 'user') or (cohort_kind <> 'user' and cohort_name <> '')
"""
*/
with customer_number as (
    select activity, customer_id, row_number() over (order by activity, customer_id) as number
    from (select distinct activity, customer_id from active_day)
),
dated as (
    select n.number, a.activity, a.customer_id, a.day, a.orders, a.net_cents,
           cast(date_trunc('week', a.day) as date) as week, cast(date_trunc('month', a.day) as date) as month,
           cast(date_trunc('quarter', a.day) as date) as quarter
    from active_day as a join customer_number as n on n.activity = a.activity and n.customer_id = a.customer_id
),
activity as (
    select *, lag(day) over in_order as previous_day, lead(day) over in_order as next_day,
           sum(net_cents) over (partition by number, week order by day desc) as remaining_week,
           sum(net_cents) over (partition by number, month order by day desc) as remaining_month,
           sum(net_cents) over (partition by number, quarter order by day desc) as remaining_quarter
    from dated
    window in_order as (partition by number order by day)
),
member as (
    select 'first_order' as cohort_kind, '' as cohort_name, customer_id, first_order_day as cohort_date
    from customer_first where first_order_day is not null
    union all
    select 'first_touch', '', customer_id, first_touch_day from customer_first where first_touch_day is not null
    union all
    select 'sign_up', '', customer_id, cast(signed_up_at at time zone 'UTC' at time zone $reporting_time_zone as date)
    from customer where signed_up_at is not null
    union all
    select 'user', cohort_name, customer_id, cohort_date from user_cohort
),
opening as (
    select m.cohort_kind, m.cohort_name, m.customer_id, m.cohort_date, a.number, coalesce(a.day, m.cohort_date) as first_day,
           case when a.week = cast(date_trunc('week', m.cohort_date) as date) then a.remaining_week else 0 end as first_week_cents,
           case when a.month = cast(date_trunc('month', m.cohort_date) as date) then a.remaining_month else 0 end as first_month_cents,
           case when a.quarter = cast(date_trunc('quarter', m.cohort_date) as date) then a.remaining_quarter else 0 end as first_quarter_cents
    from member as m
    left join activity as a
        on a.customer_id = m.customer_id and a.activity = case when list_contains($touch_cohorts, m.cohort_kind) then 'any' else 'orders' end
        and a.day >= m.cohort_date and (a.previous_day is null or a.previous_day < m.cohort_date)
),
placed as (
    select o.*, coalesce(a.day, o.first_day) as day, a.day is not null as is_active, a.day is null or a.day = o.first_day as is_first,
           a.day is not null and a.next_day is null as is_last, a.day is not null and (a.day = o.first_day or a.week > a.previous_day) as starts_week,
           a.day is not null and (a.day = o.first_day or a.month > a.previous_day) as starts_month,
           a.day is not null and (a.day = o.first_day or a.quarter > a.previous_day) as starts_quarter,
           a.day is not null and (a.day = o.first_day
               or floor(cast(date_diff('day', o.cohort_date, a.day) as double) / 7) > floor(cast(date_diff('day', o.cohort_date, a.previous_day) as double) / 7))
               as starts_seven_days,
           a.orders, a.net_cents, a.remaining_week, a.remaining_month, a.remaining_quarter
    from opening as o left join activity as a on a.number = o.number and a.day >= o.first_day
)
select cohort_kind, cohort_name, customer_id, cohort_date, day, is_active, is_first, is_last, starts_week, starts_month, starts_quarter, starts_seven_days,
       cast(coalesce(orders, 0) as bigint) as orders, cast(coalesce(net_cents, 0) as decimal(38, 0)) as net_cents,
       cast(case when starts_week then greatest(0, least(remaining_week, first_week_cents)) else 0 end as decimal(38, 0)) as kept_week_cents,
       cast(case when starts_month then greatest(0, least(remaining_month, first_month_cents)) else 0 end as decimal(38, 0)) as kept_month_cents,
       cast(case when starts_quarter then greatest(0, least(remaining_quarter, first_quarter_cents)) else 0 end as decimal(38, 0)) as kept_quarter_cents
from placed
