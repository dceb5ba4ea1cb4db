-- job_state: a job begins, or ends one way or another.
-- grain: id   writes: job   parameters: id, state, message, now
update job set
    state = $state, message = $message, changed_at = $now,
    started_at = case when $state = 'running' then coalesce(started_at, $now) else started_at end,
    ended_at = case when $state in ('done', 'failed', 'cancelled') then $now end
where id = $id;
