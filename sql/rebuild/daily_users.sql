-- daily_users: the other days that a customer's first day leaves or reaches. Sealed ones, whose rows are gone, by what moved.
-- grain: day   reads: first_change, definition.daily_users, progress   writes: other_day, daily_users   parameters: day
create or replace temp table other_day as
with moved as (
    select old_active_day as day, -1 as new_customers, 0 as new_buyers from first_change
    union all select first_active_day, 1, 0 from first_change
    union all select old_order_day, 0, -1 from first_change
    union all select first_order_day, 0, 1 from first_change
),
moves as (
    select day, sum(new_customers) as new_customers, sum(new_buyers) as new_buyers from moved where day is not null and day <> $day group by day
)
select o.day, o.active_customers, o.buyers, o.new_customers + m.new_customers as new_customers, o.new_buyers + m.new_buyers as new_buyers,
       coalesce(o.day < p.sealed_before, false) as is_sealed
from moves as m join daily_users as o on o.day = m.day cross join progress as p;

update other_day set active_customers = n.active_customers, buyers = n.buyers, new_customers = n.new_customers, new_buyers = n.new_buyers
from (from definition.daily_users where day in (select day from other_day where not is_sealed)) as n
where n.day = other_day.day;

delete from other_day where exists (
    select 1 from daily_users as o
    where o.day = other_day.day and o.active_customers = other_day.active_customers and o.buyers = other_day.buyers
      and o.new_customers = other_day.new_customers and o.new_buyers = other_day.new_buyers
);
delete from daily_users where day in (select day from other_day);
insert into daily_users by name select * exclude (is_sealed) from other_day;
