-- job_progress: how far a job has come, with what became of the messages it read.
-- grain: id   writes: job   parameters: id, done, total, resume_point, changed_at, read, accepted, duplicate, superseded, rejected, expired
update job set
    done = $done, total = coalesce($total, total), resume_point = $resume_point, changed_at = $changed_at,
    read = read + $read, accepted = accepted + $accepted, duplicate = duplicate + $duplicate, superseded = superseded + $superseded,
    rejected = rejected + $rejected, expired = expired + $expired
where id = $id;
