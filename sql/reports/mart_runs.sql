-- mart_runs: the refreshes since a moment, oldest first.
-- grain: id   reads: mart_run   parameters: since
select id, mart, state, reason, started_at, seconds, rows_read, rows_written, dirty_share, message
from mart_run where started_at >= cast($since as timestamp) order by id;
