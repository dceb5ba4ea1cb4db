-- customer_segment: the segments of each known customer, of several kinds.
-- grain: (customer_id)   reads: customer_facts, customer, segment_cluster_fit
-- parameters: recency_days, frequency_limits, spend_limits, lifecycle_days
-- Everyone of the customer topic or with an identified touchpoint or a counted order up to as_of. Orders and money: reporting currency.
/*
unit = "customer"
ages = true
function = "customer_segment"
priority = 32
formula = "score = 1 + 5 * (rank - 1) div n over the customers with an order in the last rfm_days, rank ascending by value, recency by days descending, ties take the low rank; rfm_score = 100 r + 10 f + m. rfm_segment, first match: r, f, m all >= 4 Champions; all >= 3 Loyal Customers; r >= 4 and f <= 2 New Customers; r <= 2 and f >= 3 At Risk; r <= 2 and f <= 2 Lost Customers; r >= 3 and m >= 4 Big Spenders; f >= 4 Frequent Buyers; else Need Attention."
limits = [
    "Scores compare customers with each other: who does nothing may still move.",
    "All kinds but RFM go by the whole history; (none) is who has no order, or for RFM none within rfm_days.",
    "Equal values have equal scores, so with few distinct values (most customers bought once) quintiles are of unequal size and the highest may be empty.",
]
[columns]
customer_id = { about = "the customer" }
recent_order_day = { about = "day of the last order, if that is within rfm_days; null without one, as the next two" }
recent_orders = { about = "orders of the last rfm_days" }
recent_net_cents = { unit = "minor units", about = "their net" }
r_score = { about = "recency, 1 to 5, 5 the most recent", tile = { of = "recent_order_day", parts = 5 } }
f_score = { about = "frequency, 1 to 5, by recent_orders", tile = { of = "recent_orders", parts = 5 } }
m_score = { about = "money, 1 to 5, by recent_net_cents", tile = { of = "recent_net_cents", parts = 5 } }
rfm_score = { about = "100 r + 10 f + m", type = "integer", by_tiles = "100 * r_score + 10 * f_score + m_score" }
rfm_segment = { about = "see formula", type = "varchar", by_tiles = """
    case when r_score is null then '(none)' when least(r_score, f_score, m_score) >= 4 then 'Champions'
         when least(r_score, f_score, m_score) >= 3 then 'Loyal Customers' when r_score >= 4 and f_score <= 2 then 'New Customers'
         when r_score <= 2 and f_score >= 3 then 'At Risk' when r_score <= 2 and f_score <= 2 then 'Lost Customers'
         when r_score >= 3 and m_score >= 4 then 'Big Spenders' when f_score >= 4 then 'Frequent Buyers' else 'Need Attention' end""" }
recency_segment = { about = "Recent, Moderate, Lapsed: days since the last order up to the first of recency_days, the second, more" }
frequency_segment = { about = "One-time, Low, Medium, High: orders up to the first of frequency_limits, the second, the third, more" }
monetary_segment = { about = "Low, Medium, High: net of all orders below the first of spend_limits (major units), the second, or not" }
value_tier = { about = "low_value, medium_value, high_value: the same limits" }
lifecycle_stage = { about = "first match, by lifecycle_days: New (first order up to the 1st ago), Reactivated (an order up to the 2nd ago came after a gap over comeback_gap_days), Active (last order up to the 3rd ago), At Risk (the 4th), Churned" }
cluster = { about = "the nearest cluster of the last fit (segment_cluster_fit), numbered by mean monetary; null without an order or a fit" }
cluster_label = { about = "its label; (none) without one" }

[[audits]]
name = "scores and limits"
query = "select * from customer_segment where r_score not between 1 and 5 or f_score not between 1 and 5 or m_score not between 1 and 5 or (rfm_score is null) <> (rfm_segment = '(none)') or (monetary_segment = 'Low') <> (value_tier = 'low_value')"

[[audits]]
name = "champions have high scores"
query = "select * from customer_segment where (rfm_segment = 'Champions') <> coalesce(least(r_score, f_score, m_score) >= 4, false)"

[[audits]]
name = "segments keep their limits"
query = """
    select s.customer_id, f.orders, s.frequency_segment, f.last_order_day, s.recency_segment, s.lifecycle_stage
    from customer_segment as s left join customer_facts as f on f.customer_id = s.customer_id
    where s.frequency_segment <> case when coalesce(f.orders, 0) = 0 then '(none)' when f.orders <= $frequency_limits[1] then 'One-time'
                                      when f.orders <= $frequency_limits[2] then 'Low' when f.orders <= $frequency_limits[3] then 'Medium' else 'High' end
       or s.recency_segment <> case when coalesce(f.orders, 0) = 0 then '(none)' when $as_of - f.last_order_day <= $recency_days[1] then 'Recent'
                                    when $as_of - f.last_order_day <= $recency_days[2] then 'Moderate' else 'Lapsed' end
       or (s.lifecycle_stage = '(none)') <> (coalesce(f.orders, 0) = 0)
       or (s.lifecycle_stage = 'New' and $as_of - f.first_order_day > $lifecycle_days[1])
       or (s.lifecycle_stage = 'Churned' and $as_of - f.last_order_day <= $lifecycle_days[4])
"""

[[audits]]
name = "segments are those that there are"
query = """
    select * from customer_segment
    where rfm_segment not in ('Champions', 'Loyal Customers', 'New Customers', 'At Risk', 'Lost Customers', 'Big Spenders', 'Frequent Buyers',
                              'Need Attention', '(none)')
       or monetary_segment not in ('Low', 'Medium', 'High', '(none)') or value_tier not in ('low_value', 'medium_value', 'high_value', '(none)')
       or lifecycle_stage not in ('New', 'Reactivated', 'Active', 'At Risk', 'Churned', '(none)')
       or cluster_label not in ('VIP', 'Frequent', 'Active', 'Dormant', 'Regular', '(none)') or rfm_score <> 100 * r_score + 10 * f_score + m_score
"""

[[questions]]
ask = "How many customers of each kind are about to be lost?"
sql = "select rfm_segment, count(*) as customers from customer_segment group by rfm_segment order by customers desc, rfm_segment"
*/
with known as (
    select coalesce(f.customer_id, c.customer_id) as customer_id, coalesce(f.orders, 0) > 0 as has_ordered,
           date_diff('day', f.first_order_day, $as_of) as first_days, date_diff('day', f.last_order_day, $as_of) as last_days,
           date_diff('day', f.comeback_day, $as_of) as comeback_days,
           f.orders, f.net_cents, f.units, f.categories, case when f.recent_orders is not null then f.last_order_day end as recent_order_day,
           f.recent_orders, f.recent_net_cents,
           case when $reporting_currency in ('BIF', 'CLP', 'DJF', 'GNF', 'ISK', 'JPY', 'KMF', 'KRW', 'PYG', 'RWF', 'UGX', 'UYI', 'VND', 'VUV', 'XAF', 'XOF', 'XPF')
                    then 1
                when $reporting_currency in ('BHD', 'IQD', 'JOD', 'KWD', 'LYD', 'OMR', 'TND') then 1000
                when $reporting_currency in ('CLF', 'UYW') then 10000
                else 100 end as minor_units  -- of a major one, by ISO 4217
    from customer_facts as f full outer join customer as c on c.customer_id = f.customer_id
),
placed as (
    select *,
           case when not has_ordered then 0 when net_cents < $spend_limits[1] * minor_units then 1
                when net_cents < $spend_limits[2] * minor_units then 2 else 3 end as spend_place
    from known
)
select k.customer_id, k.recent_order_day, k.recent_orders, k.recent_net_cents,
       case when not k.has_ordered then '(none)' when k.last_days <= $recency_days[1] then 'Recent'
            when k.last_days <= $recency_days[2] then 'Moderate' else 'Lapsed' end as recency_segment,
       case when not k.has_ordered then '(none)' when k.orders <= $frequency_limits[1] then 'One-time'
            when k.orders <= $frequency_limits[2] then 'Low' when k.orders <= $frequency_limits[3] then 'Medium' else 'High' end as frequency_segment,
       case k.spend_place when 0 then '(none)' when 1 then 'Low' when 2 then 'Medium' else 'High' end as monetary_segment,
       case k.spend_place when 0 then '(none)' when 1 then 'low_value' when 2 then 'medium_value' else 'high_value' end as value_tier,
       case when not k.has_ordered then '(none)' when k.first_days <= $lifecycle_days[1] then 'New'
            when k.comeback_days <= $lifecycle_days[2] then 'Reactivated' when k.last_days <= $lifecycle_days[3] then 'Active'
            when k.last_days <= $lifecycle_days[4] then 'At Risk' else 'Churned' end as lifecycle_stage,
       case when k.has_ordered then cast(k.last_days as double) end as recency,
       case when k.has_ordered then cast(k.orders as double) end as frequency,
       case when k.has_ordered then cast(k.net_cents as double) end as monetary,
       case when k.has_ordered then cast(k.net_cents as double) / cast(k.orders as double) end as average_order_value,
       case when k.has_ordered then cast(k.units as double) end as items,
       case when k.has_ordered then cast(k.categories as double) end as categories
from placed as k
