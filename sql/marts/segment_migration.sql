-- segment_migration: from which segment to which customers moved, from each month's snapshot to the next.
-- grain: (month, kind, from_segment, to_segment)   reads: segment_member
/*
priority = 52
limits = ["The first snapshot has no rows here. Between two snapshots may lie more than a month, where one is missing."]
[columns]
month = { about = "of the later snapshot, its first day" }
kind = { about = "as in segment_snapshot" }
from_segment = { about = "in the previous snapshot; (new) for who was not in it" }
to_segment = { about = "in this one" }
customers = { about = "how many" }

[[audits]]
name = "each kind moves as many customers"
query = "select month from (select month, kind, sum(customers) as customers from segment_migration group by month, kind) as moved group by month having min(customers) <> max(customers)"

[[audits]]
name = "no move is empty, and none goes to (new)"
query = """
    select * from segment_migration where customers < 1 or to_segment = '(new)'
"""

[[questions]]
ask = "Where did last month's champions go?"
sql = "select month, to_segment, customers from segment_migration where kind = 'rfm' and from_segment = 'Champions' order by month desc, customers desc, to_segment"
*/
-- As of an earlier day, what was written later is not there.
with written as (
    select * from segment_member where as_of <= $as_of
),
months as (
    select month, lag(month) over (order by month) as previous_month from (select distinct month from written) as each_month
),
moved as (
    select m.month, m.rfm, coalesce(p.rfm, '(new)') as from_rfm, m.recency, coalesce(p.recency, '(new)') as from_recency,
           m.frequency, coalesce(p.frequency, '(new)') as from_frequency,
           m.monetary, coalesce(p.monetary, '(new)') as from_monetary,
           m.value_tier, coalesce(p.value_tier, '(new)') as from_value_tier,
           m.lifecycle, coalesce(p.lifecycle, '(new)') as from_lifecycle, m.cluster, coalesce(p.cluster, '(new)') as from_cluster
    from months as n
    join written as m on m.month = n.month
    left join written as p on p.month = n.previous_month and p.customer_id = m.customer_id
    where n.previous_month is not null
)
select month, case when grouping(rfm) = 0 then 'rfm' when grouping(recency) = 0 then 'recency'
            when grouping(frequency) = 0 then 'frequency' when grouping(monetary) = 0 then 'monetary'
            when grouping(value_tier) = 0 then 'value_tier' when grouping(lifecycle) = 0 then 'lifecycle'
            else 'cluster' end as kind,
       coalesce(from_rfm, from_recency, from_frequency, from_monetary, from_value_tier, from_lifecycle, from_cluster) as from_segment,
       coalesce(rfm, recency, frequency, monetary, value_tier, lifecycle, cluster) as to_segment, count(*) as customers
from moved
group by grouping sets ( (month, from_rfm, rfm), (month, from_recency, recency), (month, from_frequency, frequency),
    (month, from_monetary, monetary), (month, from_value_tier, value_tier), (month, from_lifecycle, lifecycle),
    (month, from_cluster, cluster))
