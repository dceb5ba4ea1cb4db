-- explain_kept: messages set aside that belong to a day, or may: expired ones of the day, and rejected ones that were sent on it.
-- grain: (outcome, stream, reason)   reads: expired, rejected   parameters: day, begins_at, ends_at
-- What could not become an event has no day: the message's time stands for it. place: the first of them.
select 'expired' as outcome, stream, 'sealed' as reason, count(*) as messages, count(*) filter (where resolved_at is null) as unresolved,
       min_by(coalesce(file || ' row ' || file_row, topic || '/' || partition || ' @ ' || "offset"), id) as place
from expired where day = cast($day as date) group by stream
union all
select 'rejected', stream, reason, count(*), count(*) filter (where resolved_at is null),
       min_by(coalesce(file || ' row ' || file_row, topic || '/' || partition || ' @ ' || "offset"), id)
from rejected where message_time >= cast($begins_at as timestamp) and message_time < cast($ends_at as timestamp) group by stream, reason
order by 1, messages desc, stream, reason;
