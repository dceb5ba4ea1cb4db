-- touchpoint_key: touchpoints that are there more than once.
-- grain: (day, event_id)   reads: touchpoint   parameters: low, high   severity: error
select day, event_uuid, event_text, count(*) as copies
from touchpoint where day between $low and $high
group by day, event_uuid, event_text having count(*) > 1;
