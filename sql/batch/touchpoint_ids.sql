-- touchpoint_ids: the ids of one day, for the membership filter.
-- grain: event_id   reads: touchpoint   parameters: day
select event_uuid from touchpoint where day = $day;
