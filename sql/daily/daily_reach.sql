-- daily_reach: touchpoints and exact distinct customers by channel.
-- grain: (day, channel)   reads: batch_touchpoint, delta_customer_channel_day   writes: delta_daily_reach, daily_reach
-- A customer counts once a day and channel: `customers` grows only by keys that are new in customer_channel_day.
create or replace temp table delta_daily_reach as
with change as (
    select day, channel, count(*) as touchpoints, 0 as customers, coalesce(sum(cost_cents), 0) as cost_cents from batch_touchpoint group by day, channel
    union all
    select day, channel, 0, count(*), 0 from delta_customer_channel_day where stored_rowid is null group by day, channel
)
select day, channel, sum(touchpoints) as touchpoints, sum(customers) as customers, sum(cost_cents) as cost_cents from change group by day, channel;

merge into daily_reach as target
using delta_daily_reach as delta
on target.day = delta.day and target.channel = delta.channel
when matched then update set
    touchpoints = target.touchpoints + delta.touchpoints, customers = target.customers + delta.customers, cost_cents = target.cost_cents + delta.cost_cents
when not matched then insert by name;
