-- segment_snapshot: which segment of each kind each customer was in at the end of each month.
-- grain: (month, customer_id, kind)   reads: segment_member
-- Written when a month closes, and never again: what comes late changes later snapshots alone.
/*
unit = "view"
priority = 51
limits = ["segment_member.as_of tells the day that a snapshot shows, where the first refresh came a little late."]
[columns]
month = { about = "its first day" }
customer_id = { about = "the customer" }
kind = { about = "rfm, recency, frequency, monetary, value_tier, lifecycle, cluster: the columns of customer_segment" }
segment = { about = "the segment then; (none) where there was none" }

[[audits]]
name = "each member has a segment of each kind"
query = """
    select month, customer_id from segment_snapshot group by month, customer_id having count(*) <> 7 or count(segment) <> 7
"""

[[questions]]
ask = "How has a customer moved through the stages of its life?"
sql = "select month, segment from segment_snapshot where kind = 'lifecycle' and customer_id = 'c1' order by month"
*/
select month, customer_id, 'rfm' as kind, rfm as segment from segment_member
union all select month, customer_id, 'recency' as kind, recency as segment from segment_member
union all select month, customer_id, 'frequency' as kind, frequency as segment from segment_member
union all select month, customer_id, 'monetary' as kind, monetary as segment from segment_member
union all select month, customer_id, 'value_tier' as kind, value_tier as segment from segment_member
union all select month, customer_id, 'lifecycle' as kind, lifecycle as segment from segment_member
union all select month, customer_id, 'cluster' as kind, cluster as segment from segment_member
