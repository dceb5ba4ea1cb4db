-- accounting: what became of the messages read, since the file was created.
-- grain: (stream, origin)   reads: accounting
select stream, origin, read, accepted, duplicate, superseded, rejected, expired, conflicting_duplicates from accounting order by stream, origin;
