-- add_run: a refresh has ended, well or not.
insert into mart_run by name
select $mart as mart, $trigger as trigger, $state as state, $as_of as as_of, $is_provisional as is_provisional, $version as version, $reason as reason,
       $started_at as started_at, $seconds as seconds, $rows_read as rows_read, $rows_written as rows_written, $rows_removed as rows_removed,
       $dirty_share as dirty_share, $message as message
returning id;
