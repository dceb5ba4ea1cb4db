-- has_added: whether rows may have been added to a mart since another one, which reads it, was last refreshed well: as far as runs are remembered.
-- grain: one row   reads: mart_run   parameters: mart, other
with mine as (
    select max(id) as last_id from mart_run where state = 'done' and mart = $mart
),
its as (
    select min(id) as first_id, max(id) filter (where rows_written > 0) as last_id from mart_run where state = 'done' and mart = $other
)
select coalesce(its.last_id > mine.last_id, false) or coalesce(its.first_id > mine.last_id, true) as has_added from mine cross join its;
