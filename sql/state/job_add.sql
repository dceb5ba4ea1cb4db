-- job_add: a job is asked for.
-- grain: id   writes: job   parameters: kind, arguments, requested_by, now
insert into job (kind, arguments, state, requested_by, requested_at, changed_at)
values ($kind, $arguments, 'queued', $requested_by, $now, $now)
returning id;
