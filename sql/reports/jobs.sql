-- jobs: what was asked for beside the live stream, newest first; one job where id is given.
-- grain: id   reads: job   parameters: id
select id, kind, state, done, total, read, accepted, duplicate, superseded, rejected, expired,
       requested_by, requested_at, started_at, changed_at, ended_at, message, arguments, resume_point
from job where coalesce(id = cast($id as bigint), true) order by id desc;
