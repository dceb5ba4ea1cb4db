-- day_state: new days begin open, or closed with revision 1 where the watermark has passed them (sealed, where retention has: stock still comes);
-- a closed day that changed gets a new revision.
-- grain: day   reads: batch_day, changed_day, progress   writes: day_state   parameters: closed_before, watermark, ingested_at
-- changed_day: the closed days of which this commit changes a daily row.
insert into day_state (day, is_open, is_sealed, revision, closed_at, changed_at)
select day, is_open, coalesce(day < (select sealed_before from progress), false), case when not is_open then 1 end,
       case when not is_open then cast($watermark as timestamp) end, $ingested_at
from (
    select day, coalesce(day >= $closed_before, true) as is_open
    from (select day from batch_day union select day from changed_day)
    where day not in (select day from day_state)
);

update day_state set
    changed_at = $ingested_at,
    revision = case when day in (select day from changed_day) then revision + 1 else revision end
where (is_open and day in (select day from batch_day)) or (not is_open and not is_sealed and day in (select day from changed_day));
