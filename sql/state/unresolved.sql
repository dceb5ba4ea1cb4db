-- unresolved: how many rejected messages have not come in, or been dropped.
-- grain: one row   reads: rejected
select count(*) from rejected where resolved_at is null;
