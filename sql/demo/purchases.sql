-- purchases: what the daily tables of the real purchases add up to.
-- grain: one row   reads: daily_sales, daily_users   parameters: currency
select s.orders, u.customers, s.units, s.net_cents, u.customer_days, s.days, s.first_day, s.last_day
from (
    select sum(orders) as orders, sum(units) as units, sum(net_cents) as net_cents, count(distinct day) as days, min(day) as first_day, max(day) as last_day
    from daily_sales where currency = $currency
) as s
cross join (select sum(new_buyers) as customers, sum(buyers) as customer_days from daily_users) as u;
