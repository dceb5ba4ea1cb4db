-- hourly_sessions: sessions by the hour in which they began.
-- grain: (day, hour)   reads: touchpoint
-- A session is a (day, session_id); its touchpoints of one moment lie in one hour.
/*
unit = "day"
kept_by = "day"
priority = 10
internal = true
[columns]
day = { about = "the day" }
hour = { about = "0 to 23, of the session's first touchpoint, in the reporting time zone" }
sessions = { about = "sessions that began in this hour" }

[[audits]]
name = "sessions are those of the day"
query = """
    select day, h.sessions, d.sessions
    from (select day, sum(sessions) as sessions from hourly_sessions group by day) as h
    full join (select day, sum(sessions) as sessions from daily_sessions where day <= $as_of group by day) as d using (day)
    where h.sessions is distinct from d.sessions and day in (select day from day_state where changed_at <= $read_at and not is_sealed)
"""
*/
with begun as (
    select day, session_id, cast(arg_min(hour, occurred_at) filter (where hour is not null) as integer) as hour from touchpoint group by day, session_id
)
select day, hour, count(*) as sessions from begun group by day, hour
