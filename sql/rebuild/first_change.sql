-- first_change: the first days of the customers that the day has, or had, looked up again in customer_day; firsts on sealed days stand.
-- grain: customer_id   reads: old_customer_day, customer_day, customer_first, progress   writes: first_change, customer_first   parameters: day
create or replace temp table first_change as
with affected as (
    select customer_id from old_customer_day union select customer_id from customer_day where day = $day
),
found as (
    select c.customer_id, min(c.day) filter (where c.touchpoints > 0) as first_touch_day,
           min(c.day) filter (where c.orders + c.orders_other_currency > 0) as first_order_day
    from customer_day as c semi join affected as a on a.customer_id = c.customer_id
    group by c.customer_id
),
sealed as (
    select f.customer_id, case when f.first_touch_day < p.sealed_before then f.first_touch_day end as first_touch_day,
           case when f.first_order_day < p.sealed_before then f.first_order_day end as first_order_day
    from customer_first as f semi join affected as a on a.customer_id = f.customer_id cross join progress as p
),
firsts as (
    select a.customer_id, least(n.first_touch_day, s.first_touch_day) as first_touch_day, least(n.first_order_day, s.first_order_day) as first_order_day
    from affected as a left join found as n on n.customer_id = a.customer_id left join sealed as s on s.customer_id = a.customer_id
)
select n.customer_id, least(n.first_touch_day, n.first_order_day) as first_active_day, n.first_touch_day, n.first_order_day,
       o.first_active_day as old_active_day, o.first_order_day as old_order_day
from firsts as n left join customer_first as o on o.customer_id = n.customer_id
where (n.first_touch_day, n.first_order_day) is distinct from (o.first_touch_day, o.first_order_day) or o.customer_id is null;

delete from customer_first where customer_id in (select customer_id from first_change);
insert into customer_first by name
select customer_id, first_active_day, first_touch_day, first_order_day from first_change where first_active_day is not null;
