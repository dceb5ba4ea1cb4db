-- close_days: the watermark has passed these days' end plus the allowed lateness: they are closed, with revision 1.
-- grain: day   writes: day_state   parameters: closed_before, watermark, ingested_at
update day_state set is_open = false, revision = 1, closed_at = $watermark, changed_at = $ingested_at
where is_open and day < $closed_before
returning day;
