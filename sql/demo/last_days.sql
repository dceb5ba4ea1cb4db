-- last_days: the newest days, as the demo shows them. Visits are sessions with a page view: mails and ads have sessions of their own.
-- grain: day   reads: day_state, daily_sales_total, daily_users, daily_sessions, hourly_traffic   parameters: currency, limit
select d.day, d.is_open, d.revision, s.orders, s.net_cents, s.average_order_cents, u.active_customers, u.new_customers, visits, touchpoints
from day_state as d
left join daily_sales_total as s on s.day = d.day and s.currency = $currency
left join daily_users as u on u.day = d.day
left join (select day, sum(with_page_view) as visits from daily_sessions group by day) as v on v.day = d.day
left join (select day, sum(touchpoints) as touchpoints from hourly_traffic group by day) as t on t.day = d.day
order by d.day desc
limit $limit;
