-- sample: the features of at most cluster_sample customers with an order, chosen and put in order by a hash of their ids.
select cast(date_diff('day', last_order_day, $as_of) as double) as recency, cast(orders as double) as frequency,
       cast(net_cents as double) as monetary, cast(net_cents as double) / cast(orders as double) as average_order_value,
       cast(units as double) as items, cast(categories as double) as categories
from customer_facts
where orders > 0
order by sha256(customer_id), customer_id
limit $cluster_sample
