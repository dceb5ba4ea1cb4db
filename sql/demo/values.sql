-- values: what customers are worth within a year, by how often they have ordered; the last row is all of them.
-- grain: number of orders   reads: customer_value, customer_overview
select case when o.order_count >= 4 then '4 or more' else cast(o.order_count as varchar) end as orders, count(*) as customers,
       avg(v.p_alive) as p_alive, sum(v.expected_orders) as expected_orders, sum(v.model_value) as model_value,
       sum(v.heuristic_value_12m) as heuristic_value
from customer_value as v join customer_overview as o on o.customer_id = v.customer_id
group by rollup (1)
order by 1 nulls last;
