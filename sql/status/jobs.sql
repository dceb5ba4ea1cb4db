-- jobs: the jobs that have not ended, and the last that have; ten at most.
-- grain: id   reads: job
select id, kind, state, done, total, read, accepted, rejected, requested_at, started_at, changed_at, ended_at, message
from job order by ended_at desc nulls first, id desc limit 10;
