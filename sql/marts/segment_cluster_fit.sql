-- segment_cluster_fit: every fit of the clusters that customer_segment puts customers into, a row a cluster.
-- grain: (fit_id, cluster)   reads: customer_facts, segment_cluster_fit
-- parameters: cluster_count, cluster_sample, cluster_starts, cluster_seed, refit_share
-- Fitted anew where there is no fit yet, where the number of orders has changed by more than refit_share, or when asked (--refit).
-- A fit is written once: customer_segment reads the last one that is not of a later day than its own.
/*
unit = "append"
function = "segment_cluster_fit"
internal = true
priority = 30
formula = "KMeans (scikit-learn, Lloyd, k-means++) over standardised recency, frequency, monetary, average order value, items, categories of customers with an order. label, by the centre against the quartiles of the customers fitted: frequency over the third: VIP if monetary is over the third too, else Frequent; recency under the first: Active; over the third: Dormant; else Regular."
limits = ["There are none while fewer than cluster_count customers differ from each other."]
[columns]
fit_id = { type = "bigint", about = "counts up" }
cluster = { type = "integer", about = "from 1, by mean monetary" }
as_of = { type = "date", about = "the day up to which it was fitted" }
reason = { type = "varchar", about = "first, changed, asked" }
orders = { type = "bigint", about = "counted orders at the time" }
label = { type = "varchar", about = "VIP, Frequent, Active, Dormant, Regular; several clusters may have one" }
members = { type = "bigint", about = "customers of the fit in it" }
centre = { type = "double[]", about = "means of the members: recency in days, orders, net in minor units, net / orders, pieces, categories" }
mean = { type = "double[]", about = "means of all, which features are standardised by" }
deviation = { type = "double[]", about = "standard deviations of all, 1 where it is 0" }

[[audits]]
name = "numbered by mean monetary"
query = "select fit_id, cluster from segment_cluster_fit qualify centre[3] < lag(centre[3]) over (partition by fit_id order by cluster)"

[[audits]]
name = "clusters have members and a label"
query = """
    select * from segment_cluster_fit where members < 1 or label not in ('VIP', 'Frequent', 'Active', 'Dormant', 'Regular')
"""
*/
with bought as (
    select cast(coalesce(sum(orders), 0) as bigint) as orders from customer_facts where orders > 0
),
last as (
    select orders as last_orders from segment_cluster_fit where as_of <= $as_of
    qualify row_number() over (order by as_of desc, fit_id desc, cluster) = 1
)
select orders, last_orders, (select coalesce(max(fit_id), 0) + 1 from segment_cluster_fit) as next_fit_id
from bought left join last on true
