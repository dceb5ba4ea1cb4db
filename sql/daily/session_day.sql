-- session_day: the sessions of a day; the entry is the first touchpoint by (occurred_at, event_id), the customer that of the last identified one.
-- grain: (day, session_id)   reads: batch_touchpoint   writes: delta_session_day, session_day
-- The delta holds each touched session as it was (old_, null for a new one) and as it is now. UUIDs compare as their texts do, three times
-- faster: only sessions with other ids are ordered by text.
create or replace temp table delta_session_day as
with other_ids as (
    select day, session_id from batch_touchpoint where event_text is not null
),
of_uuids as (
    select day, session_id, min(struct_pack(occurred_at, event_uuid, channel)) as entry,
           max(struct_pack(occurred_at, event_uuid, customer_id)) filter (where customer_id is not null) as last_identified,
           max(occurred_at) as ended_at, count(*) as touchpoints,
           count(*) filter (where event_type = 'page_view') as page_views, count(*) filter (where event_type = 'product_view') as product_views,
           count(*) filter (where event_type = 'cart_add') as cart_adds, count(*) filter (where event_type = 'checkout_start') as checkout_starts,
           count(*) filter (where event_type = 'purchase') as purchases
    from batch_touchpoint anti join other_ids using (day, session_id)
    group by day, session_id
),
delta as (
    select * replace (
               struct_pack(occurred_at := entry.occurred_at, event_id := cast(entry.event_uuid as varchar), channel := entry.channel) as entry,
               case when last_identified is not null
                    then struct_pack(occurred_at := last_identified.occurred_at, event_id := cast(last_identified.event_uuid as varchar),
                                     customer_id := last_identified.customer_id) end as last_identified)
    from of_uuids
    union all
    select day, session_id, min(struct_pack(occurred_at, event_id, channel)),
           max(struct_pack(occurred_at, event_id, customer_id)) filter (where customer_id is not null),
           max(occurred_at), count(*),
           count(*) filter (where event_type = 'page_view'), count(*) filter (where event_type = 'product_view'),
           count(*) filter (where event_type = 'cart_add'), count(*) filter (where event_type = 'checkout_start'),
           count(*) filter (where event_type = 'purchase')
    from (select *, coalesce(event_text, cast(event_uuid as varchar)) as event_id from batch_touchpoint) semi join other_ids using (day, session_id)
    group by day, session_id
),
known as (
    select d.*, s.rowid as stored_rowid, s.entry_channel as old_entry_channel, s.page_views as old_page_views, s.product_views as old_product_views,
           s.cart_adds as old_cart_adds, s.checkout_starts as old_checkout_starts, s.purchases as old_purchases,
           s.touchpoints as old_touchpoints, s.ended_at as old_ended_at,
           case when s.session_id is null then d.entry
                else least(d.entry, struct_pack(occurred_at := s.started_at, event_id := s.entry_event_id, channel := s.entry_channel)) end as new_entry,
           case when s.customer_id is null then d.last_identified
                when d.last_identified is null then struct_pack(occurred_at := s.customer_event_at, event_id := s.customer_event_id, customer_id := s.customer_id)
                else greatest(d.last_identified, struct_pack(occurred_at := s.customer_event_at, event_id := s.customer_event_id, customer_id := s.customer_id))
           end as new_identified
    from delta as d
    left join session_day as s on s.day = d.day and s.session_id = d.session_id
)
select stored_rowid, day, session_id, new_identified.customer_id as customer_id, new_entry.channel as entry_channel, new_entry.occurred_at as started_at,
       greatest(ended_at, coalesce(old_ended_at, ended_at)) as ended_at,
       touchpoints + coalesce(old_touchpoints, 0) as touchpoints, page_views + coalesce(old_page_views, 0) as page_views,
       product_views + coalesce(old_product_views, 0) as product_views, cart_adds + coalesce(old_cart_adds, 0) as cart_adds,
       checkout_starts + coalesce(old_checkout_starts, 0) as checkout_starts, purchases + coalesce(old_purchases, 0) as purchases,
       new_entry.event_id as entry_event_id, new_identified.occurred_at as customer_event_at, new_identified.event_id as customer_event_id,
       old_entry_channel, old_page_views, old_product_views, old_cart_adds, old_checkout_starts, old_purchases
from known;

merge into session_day as target
using delta_session_day as delta
on target.rowid = delta.stored_rowid
when matched then update set
    customer_id = delta.customer_id, entry_channel = delta.entry_channel, started_at = delta.started_at, ended_at = delta.ended_at,
    touchpoints = delta.touchpoints, page_views = delta.page_views, product_views = delta.product_views, cart_adds = delta.cart_adds,
    checkout_starts = delta.checkout_starts, purchases = delta.purchases,
    entry_event_id = delta.entry_event_id, customer_event_at = delta.customer_event_at, customer_event_id = delta.customer_event_id
when not matched then insert (
    day, session_id, customer_id, entry_channel, started_at, ended_at, touchpoints, page_views, product_views, cart_adds, checkout_starts, purchases,
    entry_event_id, customer_event_at, customer_event_id
) values (
    delta.day, delta.session_id, delta.customer_id, delta.entry_channel, delta.started_at, delta.ended_at, delta.touchpoints, delta.page_views,
    delta.product_views, delta.cart_adds, delta.checkout_starts, delta.purchases, delta.entry_event_id, delta.customer_event_at, delta.customer_event_id
);
