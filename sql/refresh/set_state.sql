-- set_state: what a mart's rows stand for now.
delete from mart_state where mart = $mart;
insert into mart_state (mart, version, as_of, is_provisional, read_at, dirty_id, closed_before, sealed_before, refreshed_at, rows)
values ($mart, $version, $as_of, $is_provisional, $read_at, $dirty_id, $closed_before, $sealed_before, $refreshed_at, $rows);
