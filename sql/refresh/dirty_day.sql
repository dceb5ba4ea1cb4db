-- dirty_day: the days of which something may have changed for a mart since it was last refreshed, and those that as_of has reached since.
-- grain: day   reads: touchpoint, order_current, day_state   writes: dirty_day   parameters: as_of, last_as_of, read_at
create or replace temp table dirty_day as
select distinct day from touchpoint where ingested_at > $read_at and day <= $as_of
union
select day from order_current where ingested_at > $read_at and day <= $as_of
union
select day from day_state where changed_at > $read_at and day <= $as_of
union
select cast(unnest(generate_series(cast($last_as_of as date) + 1, cast($as_of as date), interval 1 day)) as date);
