-- states: what each mart's rows stand for.
select mart, version, as_of, is_provisional, read_at, dirty_id, closed_before, sealed_before, refreshed_at, rows from mart_state;
