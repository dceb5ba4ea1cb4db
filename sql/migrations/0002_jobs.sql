-- 0002_jobs: jobs beside the live stream, and what became of messages that were kept.

-- One row a replay, backfill, rebuild, compact or the like. arguments and resume_point are JSON; done and total count messages, rows or
-- units of work; the counts say what became of the messages. state: queued, running, done, failed, cancelled.
create sequence job_id;
create table job (
    id bigint not null default nextval('job_id'), kind varchar not null, arguments varchar not null, state varchar not null,
    requested_by varchar not null, requested_at timestamp not null, started_at timestamp, changed_at timestamp not null, ended_at timestamp,
    done bigint not null default 0, total bigint, resume_point varchar,
    read bigint not null default 0, accepted bigint not null default 0, duplicate bigint not null default 0, superseded bigint not null default 0,
    rejected bigint not null default 0, expired bigint not null default 0,
    message varchar not null default ''
);

-- How a kept message was resolved: accepted (it came in later) or dropped (by hand; its bytes are gone).
alter table rejected add column resolution varchar;
alter table expired add column resolution varchar;
