-- has_changed: whether a mart may have changed, since another one that reads it was last refreshed well, in rows of which nothing that is dirty
-- tells: it was computed as a whole, or rows were added to one that is appended to. As far as runs are remembered: else it may have.
-- grain: one row   reads: mart_run   parameters: mart, other, is_appended
with mine as (
    select max(id) as last_id from mart_run where state = 'done' and mart = $mart
),
its as (
    select min(id) as first_id, max(id) filter (where reason <> '' or ($is_appended and rows_written > 0)) as last_id
    from mart_run where state = 'done' and mart = $other
)
select coalesce(its.last_id > mine.last_id, false) or coalesce(its.first_id > mine.last_id, true) as has_changed from mine cross join its;
