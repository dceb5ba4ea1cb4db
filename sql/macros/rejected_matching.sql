-- rejected_matching: the rejected messages that a command means; a parameter that is null leaves its column free.
-- grain: id   reads: rejected
-- Times are of ingestion. file: a path, or the last parts of one. last_id: what is rejected after the question was asked is not meant.
create or replace macro rejected_matching(
    the_ids, the_stream, the_topic, the_stage, the_reason, the_file, since, until, last_id, with_resolved
) as table
select *
from rejected
where coalesce(list_contains(cast(the_ids as bigint[]), id), true)
  and coalesce(stream = the_stream, true) and coalesce(topic = the_topic, true)
  and coalesce(stage = the_stage, true) and coalesce(reason = the_reason, true)
  and (the_file is null or file = the_file or ends_with(file, '/' || the_file))
  and coalesce(ingested_at >= cast(since as timestamp), true) and coalesce(ingested_at < cast(until as timestamp), true)
  and coalesce(id <= last_id, true)
  and (with_resolved or resolved_at is null);
