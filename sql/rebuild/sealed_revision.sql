-- sealed_revision: a sealed day that was rebuilt, and is another one now, has a new revision. (Of other days, day_state has seen to it.)
-- grain: day   reads: changed_day   writes: day_state   parameters: ingested_at
update day_state set revision = revision + 1, changed_at = $ingested_at
where is_sealed and day in (select day from changed_day);
