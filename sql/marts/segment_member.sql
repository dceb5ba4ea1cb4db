-- segment_member: each customer's segments at the end of a month, with what segment_summary tells of them.
-- grain: (month, customer_id)   reads: progress, customer_segment, customer_facts, customer_value, segment_member   parameters: snapshot_late_days
-- Written once a month, as of its last day, also where that day was passed over; by a first refresh at most snapshot_late_days later. Never by one
-- that is provisional.
/*
unit = "append"
sees_month_ends = true
internal = true
priority = 50
limits = [
    "Months that had ended before the first refresh, or whose refresh failed, have no snapshot. `tidemark marts refresh segment_summary --as-of` the last day writes one, unless a later month has one already.",
]
[columns]
month = { type = "date", about = "its first day" }
customer_id = { type = "varchar", about = "the customer" }
as_of = { type = "date", about = "the day that it shows: the month's last, or a little later" }
rfm = { type = "varchar", about = "rfm_segment" }
recency = { type = "varchar", about = "recency_segment" }
frequency = { type = "varchar", about = "frequency_segment" }
monetary = { type = "varchar", about = "monetary_segment" }
value_tier = { type = "varchar", about = "value_tier" }
lifecycle = { type = "varchar", about = "lifecycle_stage" }
cluster = { type = "varchar", about = "cluster_label" }
orders = { type = "bigint", about = "counted orders" }
net_cents = { type = "decimal(38, 0)", unit = "minor units", about = "net of them" }
recency_days = { type = "bigint", unit = "days", about = "from the last order's day to as_of" }
model_value = { type = "double", unit = "minor units", about = "customer_value.model_value" }

[[audits]]
name = "segments are those that there are"
query = """
    select * from segment_member
    where rfm is null or recency is null or frequency is null or monetary is null or value_tier is null or lifecycle is null or cluster is null
       or as_of < month or orders < 0 or recency_days < 0
"""
*/
with closed as (
    -- the month that has ended last
    select cast(date_trunc('month', cast($as_of as date) + cast(1 as integer)) as date) - cast(1 as integer) as last_day
),
due as (
    select last_day, cast(date_trunc('month', last_day) as date) as month from closed
    where date_diff('day', last_day, $as_of) <= $snapshot_late_days and $as_of < (select closed_before from progress)
      and cast(date_trunc('month', last_day) as date) > (select coalesce(max(month), cast('0001-01-01' as date)) from segment_member)
)
select d.month, s.customer_id, cast($as_of as date) as as_of, s.rfm_segment as rfm, s.recency_segment as recency, s.frequency_segment as frequency,
       s.monetary_segment as monetary, s.value_tier, s.lifecycle_stage as lifecycle, s.cluster_label as cluster,
       cast(coalesce(f.orders, 0) as bigint) as orders, cast(coalesce(f.net_cents, 0) as decimal(38, 0)) as net_cents,
       cast(date_diff('day', f.last_order_day, $as_of) as bigint) as recency_days, v.model_value
from due as d
cross join customer_segment as s
-- Nothing is read on days on which no month is due.
left join (select * from customer_facts where exists (select 1 from due)) as f on f.customer_id = s.customer_id
left join (select * from customer_value where exists (select 1 from due)) as v on v.customer_id = s.customer_id
order by s.customer_id
