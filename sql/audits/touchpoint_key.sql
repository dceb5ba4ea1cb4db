-- touchpoint_key: touchpoints that are there more than once.
-- grain: (day, event_id)   reads: touchpoint   parameters: low, high   severity: error
-- Only those whose UUIDs (of texts: hashes) come more than once are looked at whole: counting UUIDs alone takes a quarter less.
select day, event_uuid, event_text, count(*) as copies
from touchpoint semi join (
    select event_uuid from touchpoint where day between $low and $high group by event_uuid having count(*) > 1
) using (event_uuid)
where day between $low and $high
group by day, event_uuid, event_text having count(*) > 1;
