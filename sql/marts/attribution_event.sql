-- attribution_event: the touches and cart_adds of each customer, anonymous ones by their session's customer; what attribution works on.
-- grain: (day, event_id)   reads: touchpoint, session_day   parameters: touch_types
-- Rows of sealed days stay, so a conversion keeps its touches when their days are sealed before its own.
/*
unit = "session"
priority = 10
internal = true
kept_by = "day"
[columns]
day = { about = "the event's day" }
session_id = { about = "its session" }
event_id = { about = "the touchpoint" }
customer_id = { about = "its customer; of an anonymous one, its session's" }
occurred_at = { unit = "UTC", about = "when it happened" }
channel = { about = "its channel" }
campaign = { about = "its campaign, or (none)" }
is_touch = { about = "one of touch_types, or the first page_view of its session" }
is_cart_add = { about = "a cart_add: the first in a window makes the last touch that is no later, by occurred_at alone, the lead of w_shaped" }

[[audits]]
name = "each is a touch or a cart_add of a customer"
query = """
    select * from attribution_event where customer_id is null or not (is_touch or is_cart_add)
"""
*/
with named as (
    select customer_id, day, session_id, event_id, occurred_at, event_type, channel, campaign
    from touchpoint
    where customer_id is not null and (event_type in ('page_view', 'cart_add') or list_contains($touch_types, event_type))
    union all
    select s.customer_id, t.day, t.session_id, t.event_id, t.occurred_at, t.event_type, t.channel, t.campaign
    from touchpoint as t
    join session_day as s on s.day = t.day and s.session_id = t.session_id
    where t.customer_id is null and s.customer_id is not null
      and (t.event_type in ('page_view', 'cart_add') or list_contains($touch_types, t.event_type))
)
select day, session_id, event_id, customer_id, occurred_at, channel, coalesce(campaign, '(none)') as campaign,
       list_contains($touch_types, event_type) as is_touch, event_type = 'cart_add' as is_cart_add
from named where event_type <> 'page_view'
union all
select day, session_id, event_id, customer_id, occurred_at, channel, coalesce(campaign, '(none)') as campaign, true as is_touch, false as is_cart_add
from named where event_type = 'page_view'
qualify list_contains($touch_types, event_type) or row_number() over (partition by day, session_id order by occurred_at, event_id) = 1
