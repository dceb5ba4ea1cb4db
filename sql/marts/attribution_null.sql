-- attribution_null: the touches that stand in no conversion's window, in journeys: runs that a touch of a window or a long gap ends.
-- grain: (day, event_id)   reads: attribution_event, attribution_credit   parameters: touch_window_hours
-- A journey counts once its last touch's window has passed as_of, which is for those to judge who read this.
/*
unit = "customer"
priority = 12
internal = true
[columns]
day = { about = "the touch's day" }
event_id = { about = "the touch" }
customer_id = { about = "its customer" }
journey = { about = "a number of the journey among its customer's" }
place = { about = "the touch's place in the journey, from 1" }
places = { about = "touches of the journey" }
channel = { about = "its channel" }
campaign = { about = "its campaign, or (none)" }
previous_channel = { about = "channel of the touch before it in the journey" }
previous_campaign = { about = "campaign of the touch before it in the journey" }
last_day = { about = "day of the journey's last touch" }
last_at = { unit = "UTC", about = "the journey's last touch" }

[[audits]]
name = "journeys are whole, and stand in no conversion's window"
query = """
    select customer_id, journey from attribution_null group by customer_id, journey having count(*) <> max(places) or max(place) <> max(places)
    union all
    select n.customer_id, n.journey from attribution_null as n join attribution_credit as c on c.event_day = n.day and c.event_id = n.event_id
"""
*/
with used as (
    select distinct event_day, event_id from attribution_credit where event_id is not null
),
touch as (
    select e.day, e.event_id, e.customer_id, e.occurred_at, e.channel, e.campaign, u.event_id is not null as is_used,
           row_number() over in_order as number,
           lag(u.event_id is not null) over in_order as after_used, lag(e.occurred_at) over in_order as previous_at
    from attribution_event as e
    left join used as u on u.event_day = e.day and u.event_id = e.event_id
    where e.is_touch
    window in_order as (partition by e.customer_id order by e.occurred_at, e.event_id)
),
begun as (
    select *, case when previous_at is null or after_used
                        or date_diff('microsecond', previous_at, occurred_at) > cast($touch_window_hours as bigint) * 3600000000
                   then number end as begins
    from touch where not is_used
),
journeys as (
    select *, max(begins) over (partition by customer_id order by number) as journey from begun
)
select day, event_id, customer_id, journey, number - journey + 1 as place, count(*) over (partition by customer_id, journey) as places,
       channel, campaign,
       lag(channel) over (partition by customer_id, journey order by number) as previous_channel,
       lag(campaign) over (partition by customer_id, journey order by number) as previous_campaign,
       max(day) over (partition by customer_id, journey) as last_day, max(occurred_at) over (partition by customer_id, journey) as last_at
from journeys
