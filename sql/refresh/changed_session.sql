-- changed_session: the sessions with touchpoints that a mart has not seen when it was last refreshed, or whose day as_of has reached since.
-- grain: (day, session_id)   reads: touchpoint   writes: changed_session   parameters: as_of, last_as_of, read_at
-- Rows of one day are told by their time of ingestion; days that as_of has reached since are new as a whole.
create or replace temp table changed_session as
select day, session_id from touchpoint where ingested_at > $read_at and day <= $as_of
union
select day, session_id from touchpoint where day > $last_as_of and day <= $as_of;
