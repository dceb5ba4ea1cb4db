-- days: how many days there are in each state, and the first and the last.
-- grain: one row   reads: day_state
select count(*) filter (where is_open) as open, count(*) filter (where not is_open and not is_sealed) as closed,
       count(*) filter (where is_sealed) as sealed, min(day) as first, max(day) as last
from day_state;
