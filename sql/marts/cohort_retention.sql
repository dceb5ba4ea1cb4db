-- cohort_retention: how many of a cohort come back, and what they spend, period by period since the cohort's own.
-- grain: (cohort_kind, cohort_name, period_kind, cohort_start, period_number)   reads: cohort_activity
/*
priority = 20
formula = "retention = active_customers / cohort_size; NRR = net_k / net_0; GRR = sum over customers of max(0, min(net_k, net_0)) / net_0"
limits = ["A cohort's own period is cut short by its members' dates: period 0 holds fewer days than later ones."]
[columns]
cohort_kind = { about = "first_order, sign_up, first_touch, or user (user_cohort)" }
cohort_name = { about = "which of the user's own cohorts; empty for the other kinds" }
period_kind = { about = "week (ISO), month or quarter" }
cohort_start = { about = "first day of the period that the members' dates lie in" }
period_number = { about = "whole periods since then; dense from 0 to as_of's" }
cohort_size = { unit = "customers", about = "members" }
active_customers = { unit = "customers", about = "members active in the period, on their own date or later: a counted order of any currency, or any identified touchpoint too (touch_cohorts)" }
retention = { unit = "fraction", about = "active_customers / cohort_size" }
unbounded_customers = { unit = "customers", about = "members active in this period or a later one" }
unbounded_retention = { unit = "fraction", about = "unbounded_customers / cohort_size" }
orders = { about = "their counted orders in the period, of all currencies" }
net_cents = { unit = "minor units", about = "net of those in the reporting currency" }
cumulative_net_cents = { unit = "minor units", about = "net_cents of this period and those before" }
net_revenue_retention = { unit = "fraction", about = "net_cents / net_cents of period 0" }
gross_revenue_retention = { unit = "fraction", about = "what of period 0's net is still spent: growth of one customer does not make up for another's loss" }
is_complete = { about = "the period has ended by as_of" }
rolling_size = { unit = "customers", about = "weeks only: members whose days d+7k .. d+7k+6 since their own date d have ended by as_of" }
rolling_active = { unit = "customers", about = "weeks only: those of them active on one of these days" }
rolling_retention = { unit = "fraction", about = "rolling_active / rolling_size" }

[[audits]]
name = "no more customers than the cohort has"
query = "select * from cohort_retention where active_customers > unbounded_customers or unbounded_customers > cohort_size or rolling_active > rolling_size"

[[audits]]
name = "every period of a cohort is there"
query = "select cohort_kind, cohort_name, period_kind, cohort_start from cohort_retention group by cohort_kind, cohort_name, period_kind, cohort_start having count(*) <> max(period_number) + 1"

[[audits]]
name = "weeks, months and quarters add up to the same"
query = """
    select cohort_kind, cohort_name from (
        select cohort_kind, cohort_name, sum(case when period_number = 0 then cohort_size end) as members, sum(orders) as orders, sum(net_cents) as net_cents
        from cohort_retention group by cohort_kind, cohort_name, period_kind
    ) as total
    group by cohort_kind, cohort_name
    having count(distinct members) > 1 or count(distinct orders) > 1 or count(distinct net_cents) > 1
"""

[[audits]]
name = "members, orders and money are those of the members"
query = """
    select cohort_kind, cohort_name, period_kind, given.members, active.members, given.orders, active.orders, given.net_cents, active.net_cents
    from (
        select cohort_kind, cohort_name, period_kind, sum(case when period_number = 0 then cohort_size end) as members,
               sum(orders) as orders, sum(net_cents) as net_cents
        from cohort_retention group by cohort_kind, cohort_name, period_kind
    ) as given
    join (
        select cohort_kind, cohort_name, count(*) filter (where is_first) as members, sum(orders) as orders, sum(net_cents) as net_cents
        from cohort_activity where cohort_date <= $as_of group by cohort_kind, cohort_name
    ) as active using (cohort_kind, cohort_name)
    where given.members <> active.members or given.orders <> active.orders or given.net_cents <> active.net_cents
"""

[[questions]]
ask = "What share of the customers who first bought in a month bought again in the months after?"
sql = "select cohort_start, period_number, retention from cohort_retention where cohort_kind = 'first_order' and period_kind = 'month' and is_complete order by cohort_start, period_number"
*/
with by_day as (
    select cohort_kind, cohort_name, cohort_date, day,
           count(*) filter (where is_first) as members, count(*) filter (where is_last) as last_seen,
           count(*) filter (where starts_week) as active_week, count(*) filter (where starts_month) as active_month,
           count(*) filter (where starts_quarter) as active_quarter, count(*) filter (where starts_seven_days) as active_seven_days,
           sum(orders) as orders, sum(net_cents) as net_cents,
           sum(kept_week_cents) as kept_week_cents, sum(kept_month_cents) as kept_month_cents, sum(kept_quarter_cents) as kept_quarter_cents
    from cohort_activity where cohort_date <= $as_of group by cohort_kind, cohort_name, cohort_date, day
),
placed as (
    select cohort_kind, cohort_name, 'week' as period_kind, cast(date_trunc('week', cohort_date) as date) as cohort_start,
           date_diff('week', date_trunc('week', cohort_date), date_trunc('week', day)) as period_number,
           members, last_seen, active_week as active, orders, net_cents, kept_week_cents as kept_cents
    from by_day
    union all
    select cohort_kind, cohort_name, 'month', cast(date_trunc('month', cohort_date) as date),
           date_diff('month', date_trunc('month', cohort_date), date_trunc('month', day)),
           members, last_seen, active_month, orders, net_cents, kept_month_cents
    from by_day
    union all
    select cohort_kind, cohort_name, 'quarter', cast(date_trunc('quarter', cohort_date) as date),
           date_diff('quarter', date_trunc('quarter', cohort_date), date_trunc('quarter', day)),
           members, last_seen, active_quarter, orders, net_cents, kept_quarter_cents
    from by_day
),
sums as (
    select cohort_kind, cohort_name, period_kind, cohort_start, period_number,
           sum(active) as active, sum(last_seen) as last_seen, sum(orders) as orders, sum(net_cents) as net_cents, sum(kept_cents) as kept_cents
    from placed group by cohort_kind, cohort_name, period_kind, cohort_start, period_number
),
cohort as (
    select cohort_kind, cohort_name, period_kind, cohort_start, sum(members) as cohort_size,
           cast(coalesce(sum(net_cents) filter (where period_number = 0), 0) as decimal(38, 0)) as first_net_cents
    from placed group by cohort_kind, cohort_name, period_kind, cohort_start
),
reach as (
    select *,
           case period_kind when 'week' then date_diff('week', cohort_start, date_trunc('week', cast($as_of as date)))
                            when 'month' then date_diff('month', cohort_start, date_trunc('month', cast($as_of as date)))
                            else date_diff('quarter', cohort_start, date_trunc('quarter', cast($as_of as date))) end as last_number,
           case period_kind when 'week' then date_diff('week', cohort_start, date_trunc('week', cast($as_of as date) + interval 1 day))
                            when 'month' then date_diff('month', cohort_start, date_trunc('month', cast($as_of as date) + interval 1 day))
                            else date_diff('quarter', cohort_start, date_trunc('quarter', cast($as_of as date) + interval 1 day)) end as complete_periods
    from cohort
),
cell as (
    select *, unnest(generate_series(0, last_number)) as period_number from reach
),
seven_days as (
    select cohort_kind, cohort_name, cast(date_trunc('week', cohort_date) as date) as cohort_start, interval_number, sum(active_seven_days) as active
    from (select *, cast(floor(cast(date_diff('day', cohort_date, day) as double) / 7) as bigint) as interval_number from by_day) as numbered
    where date_diff('day', cohort_date, cast($as_of as date)) >= 7 * interval_number + 6
    group by cohort_kind, cohort_name, cast(date_trunc('week', cohort_date) as date), interval_number
),
started as (
    select cohort_kind, cohort_name, cast(date_trunc('week', cohort_date) as date) as cohort_start, cohort_date, sum(members) as members
    from by_day group by cohort_kind, cohort_name, cohort_date
),
ended as (
    select c.cohort_kind, c.cohort_name, c.cohort_start, c.period_number, sum(s.members) as members
    from cell as c
    join started as s on s.cohort_kind = c.cohort_kind and s.cohort_name = c.cohort_name and s.cohort_start = c.cohort_start
    where c.period_kind = 'week' and date_diff('day', s.cohort_date, cast($as_of as date)) >= 7 * c.period_number + 6
    group by c.cohort_kind, c.cohort_name, c.cohort_start, c.period_number
),
filled as (
    select c.cohort_kind, c.cohort_name, c.period_kind, c.cohort_start, cast(c.period_number as bigint) as period_number, c.cohort_size, c.first_net_cents,
           coalesce(s.active, 0) as active, coalesce(s.orders, 0) as orders, coalesce(s.net_cents, 0) as net_cents, coalesce(s.kept_cents, 0) as kept_cents,
           sum(coalesce(s.last_seen, 0)) over (partition by c.cohort_kind, c.cohort_name, c.period_kind, c.cohort_start order by c.period_number desc) as unbounded,
           sum(coalesce(s.net_cents, 0)) over (partition by c.cohort_kind, c.cohort_name, c.period_kind, c.cohort_start order by c.period_number) as cumulative_net_cents,
           c.period_number < c.complete_periods as is_complete,
           case when c.period_kind = 'week' then coalesce(e.members, 0) end as rolling_size,
           case when c.period_kind = 'week' then coalesce(r.active, 0) end as rolling_active
    from cell as c
    left join sums as s on s.cohort_kind = c.cohort_kind and s.cohort_name = c.cohort_name and s.period_kind = c.period_kind
        and s.cohort_start = c.cohort_start and s.period_number = c.period_number
    left join ended as e on c.period_kind = 'week' and e.cohort_kind = c.cohort_kind and e.cohort_name = c.cohort_name
        and e.cohort_start = c.cohort_start and e.period_number = c.period_number
    left join seven_days as r on c.period_kind = 'week' and r.cohort_kind = c.cohort_kind and r.cohort_name = c.cohort_name
        and r.cohort_start = c.cohort_start and r.interval_number = c.period_number
)
select cohort_kind, cohort_name, period_kind, cohort_start, period_number,
       cast(cohort_size as bigint) as cohort_size, cast(active as bigint) as active_customers, cast(active as double) / cast(cohort_size as double) as retention,
       cast(unbounded as bigint) as unbounded_customers, cast(unbounded as double) / cast(cohort_size as double) as unbounded_retention,
       cast(orders as bigint) as orders, cast(net_cents as decimal(38, 0)) as net_cents, cast(cumulative_net_cents as decimal(38, 0)) as cumulative_net_cents,
       cast(net_cents as double) / nullif(cast(greatest(first_net_cents, 0) as double), 0) as net_revenue_retention,
       cast(kept_cents as double) / nullif(cast(greatest(first_net_cents, 0) as double), 0) as gross_revenue_retention,
       is_complete, cast(rolling_size as bigint) as rolling_size, cast(rolling_active as bigint) as rolling_active,
       cast(rolling_active as double) / nullif(cast(rolling_size as double), 0) as rolling_retention
from filled
