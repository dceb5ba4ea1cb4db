-- customer_first: the first day of each customer, as visitor and as buyer; active is either.
-- grain: customer_id   reads: delta_customer_day, customer_day, progress   writes: delta_customer_first, customer_first
-- Only days that became active or ceased to be matter. Where a first order day ceased, it is looked up again in customer_day for that
-- customer alone; a first on a sealed day stands.
create or replace temp table delta_customer_first as
with changed as (
    select customer_id,
           min(day) filter (where old_touchpoints = 0 and new_touchpoints > 0) as gained_touch_day,
           min(day) filter (where old_orders = 0 and new_orders > 0) as gained_order_day,
           min(day) filter (where old_orders > 0 and new_orders = 0) as lost_order_day
    from delta_customer_day
    group by customer_id
    having gained_touch_day is not null or gained_order_day is not null or lost_order_day is not null
),
known as (
    select changed.*, f.rowid as stored_rowid, f.first_active_day as old_active_day, f.first_touch_day as old_touch_day, f.first_order_day as old_order_day,
           coalesce(lost_order_day = old_order_day, false) as lost_first_order
    from changed left join customer_first as f on f.customer_id = changed.customer_id
),
looked_up as (
    select c.customer_id, min(c.day) as first_order_day
    from customer_day as c semi join (from known where lost_first_order) as k on k.customer_id = c.customer_id
    where c.orders + c.orders_other_currency > 0
    group by c.customer_id
),
firsts as (
    select k.customer_id, k.stored_rowid, old_active_day, old_order_day,
           least(k.old_touch_day, k.gained_touch_day) as first_touch_day,
           case when k.lost_first_order then l.first_order_day else least(k.old_order_day, k.gained_order_day) end as first_order_day,
           k.old_touch_day
    from known as k left join looked_up as l on l.customer_id = k.customer_id
)
select *, least(first_touch_day, first_order_day) as first_active_day
from firsts
where first_touch_day is distinct from old_touch_day or first_order_day is distinct from old_order_day;

merge into customer_first as target
using delta_customer_first as delta
on target.rowid = delta.stored_rowid
when matched and delta.first_active_day is null then delete
when matched then update set
    first_active_day = delta.first_active_day, first_touch_day = delta.first_touch_day, first_order_day = delta.first_order_day
when not matched then insert (customer_id, first_active_day, first_touch_day, first_order_day)
    values (delta.customer_id, delta.first_active_day, delta.first_touch_day, delta.first_order_day);
