-- marts: each mart that was ever asked for: what its rows stand for, and what became of its last refresh.
-- grain: mart   reads: mart_run, mart_state
select r.mart, s.as_of, coalesce(s.is_provisional, false) as is_provisional, s.refreshed_at, s.rows, r.state, r.seconds, r.message
from mart_run as r
left join mart_state as s on s.mart = r.mart
where r.id in (select max(id) from mart_run group by mart)
order by r.mart;
