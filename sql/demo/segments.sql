-- segments: how many customers are in each segment of recency, frequency and money, what they are like, and their share of all spend.
-- grain: rfm_segment   reads: customer_overview
select rfm_segment, count(*) as customers, avg(days_since_last_order) as recency, avg(order_count) as orders, avg(total_spend) as spend,
       sum(total_spend) / sum(sum(total_spend)) over () as share
from customer_overview
where rfm_segment <> '(none)'
group by rfm_segment
order by spend desc, rfm_segment;
