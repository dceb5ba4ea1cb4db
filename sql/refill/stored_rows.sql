-- stored_rows: how many events some days hold, those of this batch included.
-- grain: day   reads: touchpoint, order_current   parameters: first, last
select day, sum(rows) as rows
from (
    select day, count(*) as rows from touchpoint where day between $first and $last group by day
    union all
    select day, count(*) from order_current where day between $first and $last group by day
)
group by day;
