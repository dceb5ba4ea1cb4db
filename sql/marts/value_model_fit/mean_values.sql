-- mean_values: of each customer who came back, repeat order days and their mean value.
select cast(order_days - 1 as double) as x, cast(net_cents - first_day_net_cents as double) / cast(order_days - 1 as double) as mean_value
from customer_facts
where order_days > 1 and net_cents > first_day_net_cents
order by customer_id
