-- daily_reach: its defining SELECT over the accepted rows of days that are not sealed; what verify, repair and rebuild compare and fill it with.
-- grain: (day, channel)   reads: touchpoint
select day, channel, count(*) as touchpoints, count(distinct customer_id) as customers, coalesce(sum(cost_cents), 0) as cost_cents
from touchpoint group by all
