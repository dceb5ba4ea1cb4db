-- session_day: its defining SELECT over the accepted rows of days that are not sealed; what verify, repair and rebuild compare and fill it with.
-- grain: (day, session_id)   reads: touchpoint
select day, session_id, arg_max(customer_id, (occurred_at, event_id)) filter (where customer_id is not null) as customer_id,
       arg_min(channel, (occurred_at, event_id)) as entry_channel, min(occurred_at) as started_at, max(occurred_at) as ended_at, count(*) as touchpoints,
       count(*) filter (where event_type = 'page_view') as page_views, count(*) filter (where event_type = 'product_view') as product_views,
       count(*) filter (where event_type = 'cart_add') as cart_adds, count(*) filter (where event_type = 'checkout_start') as checkout_starts,
       count(*) filter (where event_type = 'purchase') as purchases,
       arg_min(event_id, (occurred_at, event_id)) as entry_event_id,
       max(occurred_at) filter (where customer_id is not null) as customer_event_at,
       arg_max(event_id, (occurred_at, event_id)) filter (where customer_id is not null) as customer_event_id
from touchpoint group by day, session_id
