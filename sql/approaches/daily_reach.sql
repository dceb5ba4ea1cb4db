-- daily_reach: touchpoints and distinct customers by channel, of the days that are handed over.
-- grain: (day, channel)   reads: staged_touchpoint
select day, channel, count(*) as touchpoints, count(distinct customer_id) as customers, cast(coalesce(sum(cost_cents), 0) as bigint) as cost_cents
from staged_touchpoint
group by day, channel
