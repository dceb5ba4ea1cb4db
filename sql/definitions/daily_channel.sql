-- daily_channel: its defining SELECT over the accepted rows of days that are not sealed; what verify, repair and rebuild compare and fill it with.
-- grain: (day, channel, campaign)   reads: touchpoint
select day, channel, coalesce(campaign, '(none)') as campaign, count(*) as touchpoints, count(*) filter (where event_type = 'impression') as impressions,
       count(*) filter (where event_type in ('ad_click', 'email_click')) as clicks, coalesce(sum(cost_cents), 0) as cost_cents
from touchpoint group by all
