-- value: the conversions of each month that have a touch, and their value.
-- grain: (month)   reads: attribution_credit
select cast(date_trunc('month', order_day) as date) as month, count(*) as conversions, cast(sum(net_cents) as decimal(38, 0)) as net_cents
from attribution_credit where event_id is not null and place = 1
group by month
