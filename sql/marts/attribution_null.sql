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
path = { about = "the journey's channels in order, by >; on the row of its last touch" }

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
           row_number() over in_order as number, lag(u.event_id is not null) over in_order as after_used, lag(e.occurred_at) over in_order as previous_at,
           lag(e.channel) over in_order as previous_channel, lag(e.campaign) over in_order as previous_campaign
    from attribution_event as e
    left join used as u on u.event_day = e.day and u.event_id = e.event_id
    where e.is_touch
    window in_order as (partition by e.customer_id order by e.occurred_at, e.event_id)
),
-- A journey's number is that of its first touch.
free as (
    select *, max(case when previous_at is null or after_used
                            or date_diff('microsecond', previous_at, occurred_at) > cast($touch_window_hours as bigint) * 3600000000
                       then number end) over (partition by customer_id order by number) as journey
    from touch where not is_used
),
whole as (
    select customer_id, journey, count(*) as places, max(day) as last_day, max(occurred_at) as last_at
    from free group by customer_id, journey
),
-- Most journeys are of one touch, and sorting within groups is dear.
paths as (
    select f.customer_id, f.journey, string_agg(f.channel, ' > ' order by f.number) as path
    from free as f
    join whole as w on w.customer_id = f.customer_id and w.journey = f.journey and w.places > 1
    group by f.customer_id, f.journey
)
select f.day, f.event_id, f.customer_id, f.journey, f.number - f.journey + 1 as place, w.places, f.channel, f.campaign,
       case when f.number > f.journey then f.previous_channel end as previous_channel,
       case when f.number > f.journey then f.previous_campaign end as previous_campaign,
       w.last_day, w.last_at, case when f.number - f.journey + 1 = w.places then coalesce(p.path, f.channel) end as path
from free as f
join whole as w on w.customer_id = f.customer_id and w.journey = f.journey
left join paths as p on p.customer_id = f.customer_id and p.journey = f.journey
