-- daily_channel: touchpoints by channel and campaign.
-- grain: (day, channel, campaign)   reads: batch_touchpoint   writes: delta_daily_channel, daily_channel
create or replace temp table delta_daily_channel as
select day, channel, coalesce(campaign, '(none)') as campaign, count(*) as touchpoints, count(*) filter (where event_type = 'impression') as impressions,
       count(*) filter (where event_type in ('ad_click', 'email_click')) as clicks, coalesce(sum(cost_cents), 0) as cost_cents
from batch_touchpoint
group by day, channel, coalesce(campaign, '(none)');

merge into daily_channel as target
using delta_daily_channel as delta
on target.day = delta.day and target.channel = delta.channel and target.campaign = delta.campaign
when matched then update set
    touchpoints = target.touchpoints + delta.touchpoints, impressions = target.impressions + delta.impressions,
    clicks = target.clicks + delta.clicks, cost_cents = target.cost_cents + delta.cost_cents
when not matched then insert by name;
