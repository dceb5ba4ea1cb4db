-- session_day: its defining SELECT over the accepted rows of days that are not sealed; what verify, repair and rebuild compare and fill it with.
-- grain: (day, session_id)   reads: touchpoint
-- The entry is the first touchpoint by (occurred_at, event_id), the customer that of the last identified one. UUIDs compare as their texts do,
-- three times faster: only sessions with other ids are ordered by text.
with other_ids as (
    select day, session_id from touchpoint where event_text is not null
),
of_uuids as (
    select day, session_id, min(struct_pack(occurred_at, event_uuid, channel)) as entry,
           max(struct_pack(occurred_at, event_uuid, customer_id)) filter (where customer_id is not null) as identified,
           min(occurred_at) as started_at, max(occurred_at) as ended_at, count(*) as touchpoints,
           count(*) filter (where event_type = 'page_view') as page_views, count(*) filter (where event_type = 'product_view') as product_views,
           count(*) filter (where event_type = 'cart_add') as cart_adds, count(*) filter (where event_type = 'checkout_start') as checkout_starts,
           count(*) filter (where event_type = 'purchase') as purchases
    from touchpoint anti join other_ids using (day, session_id)
    group by day, session_id
),
of_texts as (
    select day, session_id, min(struct_pack(occurred_at := occurred_at, event_id := event_id, channel := channel)) as entry,
           max(struct_pack(occurred_at := occurred_at, event_id := event_id, customer_id := customer_id)) filter (where customer_id is not null) as identified,
           min(occurred_at) as started_at, max(occurred_at) as ended_at, count(*) as touchpoints,
           count(*) filter (where event_type = 'page_view') as page_views, count(*) filter (where event_type = 'product_view') as product_views,
           count(*) filter (where event_type = 'cart_add') as cart_adds, count(*) filter (where event_type = 'checkout_start') as checkout_starts,
           count(*) filter (where event_type = 'purchase') as purchases
    from touchpoint semi join other_ids using (day, session_id)
    group by day, session_id
)
select day, session_id, identified.customer_id as customer_id, entry.channel as entry_channel, started_at, ended_at, touchpoints, page_views, product_views,
       cart_adds, checkout_starts, purchases, cast(entry.event_uuid as varchar) as entry_event_id, identified.occurred_at as customer_event_at,
       cast(identified.event_uuid as varchar) as customer_event_id
from of_uuids
union all
select day, session_id, identified.customer_id, entry.channel, started_at, ended_at, touchpoints, page_views, product_views,
       cart_adds, checkout_starts, purchases, entry.event_id, identified.occurred_at, identified.event_id
from of_texts
