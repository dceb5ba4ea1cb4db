-- segment_summary: each segment at the end of each month: how large it was, what its customers were like, and who stayed.
-- grain: (month, kind, segment)   reads: segment_member, customer_day   parameters: comeback_gap_days
-- Members, orders, spend, recency and value are those of the snapshot; revenue, retention and reactivation count what is known today of its month.
/*
priority = 52
formula = "retention = members of the segment in the previous snapshot who ordered in the month / those members; reactivation = the same for those of them whose last order before the month was over comeback_gap_days before its first day"
limits = [
    "A segment that has no member any more has no row.",
    "Revenue of a month of which not all days had passed at the last refresh grows until they have.",
]
[columns]
month = { about = "its first day" }
kind = { about = "as in segment_snapshot" }
segment = { about = "the segment" }
customers = { about = "its members" }
orders = { about = "their counted orders up to then" }
avg_order_value = { unit = "minor units", about = "their net / orders; null without an order" }
mean_spend = { unit = "minor units", about = "their net / customers" }
mean_orders = { about = "orders / customers" }
mean_recency_days = { unit = "days", about = "mean days since the last order, of members with one" }
mean_model_value = { unit = "minor units", about = "mean of customer_value.model_value, of members who have one" }
revenue = { unit = "minor units", about = "net of members' orders in the month" }
previous_members = { about = "members of the segment in the previous snapshot; null in the first month" }
retention = { unit = "fraction", about = "see formula; null without previous members" }
reactivation = { unit = "fraction", about = "see formula; null without such members" }

[[audits]]
name = "each kind holds every customer once"
query = "select month from (select month, kind, sum(customers) as customers from segment_summary group by month, kind) as held group by month having min(customers) <> max(customers)"

[[audits]]
name = "shares are fractions"
query = "select * from segment_summary where retention not between 0 and 1 or reactivation not between 0 and 1"

[[audits]]
name = "members are those of the snapshot"
query = """
    select month, kind, s.customers, m.members
    from (select month, kind, sum(customers) as customers from segment_summary group by month, kind) as s
    full join (select month, count(*) as members from segment_member where as_of <= $as_of group by month) as m using (month)
    where s.customers is distinct from m.members
"""

[[questions]]
ask = "Which segments keep their customers?"
sql = "select month, segment, customers, retention, reactivation from segment_summary where kind = 'rfm' order by month, segment"
*/
with bought as (
    select customer_id, cast(date_trunc('month', day) as date) as month, sum(net_cents) as net_cents
    from customer_day where orders > 0 group by customer_id, cast(date_trunc('month', day) as date)
),
-- As of an earlier day, what was written later is not there.
written as (
    select * from segment_member where as_of <= $as_of
),
months as (
    select month, lag(month) over (order by month) as previous_month from (select distinct month from written) as each_month
),
lapse as (
    select customer_id, day, lead(day) over (partition by customer_id order by day) as next_day from customer_day where orders > 0
),
dormant as (
    select n.month, l.customer_id
    from months as n
    join lapse as l on date_diff('day', l.day, n.month) > $comeback_gap_days and (l.next_day is null or l.next_day >= n.month)
),
member as (
    select m.*, b.net_cents as month_cents
    from written as m left join bought as b on b.customer_id = m.customer_id and b.month = m.month
),
of_month as (
    select month, case when grouping(rfm) = 0 then 'rfm' when grouping(recency) = 0 then 'recency'
                when grouping(frequency) = 0 then 'frequency' when grouping(monetary) = 0 then 'monetary'
                when grouping(value_tier) = 0 then 'value_tier' when grouping(lifecycle) = 0 then 'lifecycle'
                else 'cluster' end as kind,
           coalesce(rfm, recency, frequency, monetary, value_tier, lifecycle, cluster) as segment,
           count(*) as customers, cast(sum(orders) as bigint) as orders, cast(sum(net_cents) as decimal(38, 0)) as net_cents,
           sum(cast(recency_days as double)) / nullif(count(recency_days), 0) as mean_recency_days,
           sum(model_value) / nullif(count(model_value), 0) as mean_model_value,
           cast(coalesce(sum(month_cents), 0) as decimal(38, 0)) as revenue
    from member
    group by grouping sets ( (month, rfm), (month, recency), (month, frequency), (month, monetary), (month, value_tier),
        (month, lifecycle), (month, cluster))
),
previous as (
    select n.month, p.rfm, p.recency, p.frequency, p.monetary, p.value_tier, p.lifecycle, p.cluster,
           b.customer_id is not null as has_ordered, d.customer_id is not null as was_dormant
    from months as n
    join written as p on p.month = n.previous_month
    left join bought as b on b.customer_id = p.customer_id and b.month = n.month
    left join dormant as d on d.customer_id = p.customer_id and d.month = n.month
),
kept as (
    select month, case when grouping(rfm) = 0 then 'rfm' when grouping(recency) = 0 then 'recency'
                when grouping(frequency) = 0 then 'frequency' when grouping(monetary) = 0 then 'monetary'
                when grouping(value_tier) = 0 then 'value_tier' when grouping(lifecycle) = 0 then 'lifecycle'
                else 'cluster' end as kind,
           coalesce(rfm, recency, frequency, monetary, value_tier, lifecycle, cluster) as segment,
           count(*) as members, count(*) filter (where has_ordered) as retained,
           count(*) filter (where was_dormant) as dormant, count(*) filter (where was_dormant and has_ordered) as reactivated
    from previous
    group by grouping sets ( (month, rfm), (month, recency), (month, frequency), (month, monetary), (month, value_tier),
        (month, lifecycle), (month, cluster))
)
select s.month, s.kind, s.segment, s.customers, s.orders, cast(s.net_cents as double) / nullif(cast(s.orders as double), 0) as avg_order_value,
       cast(s.net_cents as double) / cast(s.customers as double) as mean_spend, cast(s.orders as double) / cast(s.customers as double) as mean_orders,
       s.mean_recency_days, s.mean_model_value, s.revenue,
       case when n.previous_month is not null then coalesce(k.members, 0) end as previous_members,
       cast(k.retained as double) / nullif(cast(k.members as double), 0) as retention,
       cast(k.reactivated as double) / nullif(cast(k.dormant as double), 0) as reactivation
from of_month as s
join months as n on n.month = s.month
left join kept as k on k.month = s.month and k.kind = s.kind and k.segment = s.segment
