-- customer_channel_day: key (day, channel, customer_id)
select day, channel, customer_id, count(*) as touchpoints, coalesce(sum(cost_cents), 0) as cost_cents
from touchpoint where customer_id is not null group by day, channel, customer_id;
