-- jobs: all jobs there ever were.
-- grain: id   reads: job
select id, kind, arguments, state, requested_by, requested_at, started_at, changed_at, ended_at, done, total, resume_point,
       read, accepted, duplicate, superseded, rejected, expired, message
from job order by id;
