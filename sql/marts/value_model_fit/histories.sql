-- histories: customers by what the model of purchases needs of them, each triple once.
select cast(order_days - 1 as double) as x, cast(date_diff('day', first_order_day, last_order_day) as double) as t_x,
       cast(date_diff('day', first_order_day, $as_of) as double) as age, cast(count(*) as double) as weight
from customer_facts
where order_days > 0 and first_order_day < $as_of
group by 1, 2, 3
order by 1, 2, 3
