-- staged_touchpoint: the touchpoints among new raw rows, each once, that are not staged yet.
-- grain: (day, event_uuid)   reads: raw_touchpoint, staged_touchpoint_key
-- Copies of an event are alike, so any of them will do.
select distinct r.day, r.event_uuid, r.channel, r.customer_id, r.cost_cents
from raw_touchpoint as r
anti join staged_touchpoint_key as s on s.day = r.day and s.event_uuid = r.event_uuid
