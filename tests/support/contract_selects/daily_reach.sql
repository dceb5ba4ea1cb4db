-- daily_reach: key (day, channel)
select day, channel, count(*) as touchpoints, count(distinct customer_id) as customers, coalesce(sum(cost_cents), 0) as cost_cents from touchpoint group by all;
