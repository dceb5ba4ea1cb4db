-- customer_channel_day: its defining SELECT over the accepted rows of days that are not sealed; what verify, repair and rebuild compare and fill it with.
-- grain: (day, channel, customer_id)   reads: touchpoint
select day, channel, customer_id, count(*) as touchpoints, coalesce(sum(cost_cents), 0) as cost_cents
from touchpoint where customer_id is not null group by day, channel, customer_id
