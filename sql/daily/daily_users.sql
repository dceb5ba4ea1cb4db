-- daily_users: active and new customers and buyers of a day.
-- grain: day   reads: delta_customer_day, delta_customer_first   writes: delta_daily_users, daily_users
-- A first day that moves takes one from its old day and gives one to its new day; no day between changes.
create or replace temp table delta_daily_users as
with change as (
    select day, (new_touchpoints + new_orders > 0)::int - (old_touchpoints + old_orders > 0)::int as active_customers,
           (new_orders > 0)::int - (old_orders > 0)::int as buyers, 0 as new_customers, 0 as new_buyers
    from delta_customer_day
    union all select old_active_day, 0, 0, -1, 0 from delta_customer_first where old_active_day is not null
    union all select first_active_day, 0, 0, 1, 0 from delta_customer_first where first_active_day is not null
    union all select old_order_day, 0, 0, 0, -1 from delta_customer_first where old_order_day is not null
    union all select first_order_day, 0, 0, 0, 1 from delta_customer_first where first_order_day is not null
)
select day, sum(active_customers) as active_customers, sum(buyers) as buyers, sum(new_customers) as new_customers, sum(new_buyers) as new_buyers
from change
group by day
having sum(active_customers) <> 0 or sum(buyers) <> 0 or sum(new_customers) <> 0 or sum(new_buyers) <> 0;

merge into daily_users as target
using delta_daily_users as delta
on target.day = delta.day
when matched and target.active_customers + delta.active_customers = 0 then delete
when matched then update set
    active_customers = target.active_customers + delta.active_customers, buyers = target.buyers + delta.buyers,
    new_customers = target.new_customers + delta.new_customers, new_buyers = target.new_buyers + delta.new_buyers
when not matched then insert (day, active_customers, buyers, new_customers, new_buyers)
    values (delta.day, delta.active_customers, delta.buyers, delta.new_customers, delta.new_buyers);
