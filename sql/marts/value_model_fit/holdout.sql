-- holdout: histories as they were holdout_days before as_of, and the order days that followed.
with bought as (
    select customer_id, day, day > $as_of - cast($holdout_days as integer) as is_later from customer_day where orders > 0
),
before as (
    select customer_id, count(*) filter (where not is_later) - 1 as x,
           date_diff('day', min(day), max(day) filter (where not is_later)) as t_x,
           date_diff('day', min(day), $as_of) - cast($holdout_days as integer) as age,
           count(*) filter (where is_later) as later
    from bought group by customer_id
)
select cast(x as double) as x, cast(t_x as double) as t_x, cast(age as double) as age, cast(count(*) as double) as weight,
       cast(sum(later) as bigint) as later
from before where age > 0
group by x, t_x, age
order by x, t_x, age
