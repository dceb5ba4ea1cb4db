-- expired_count: how many expired messages of some days are not resolved.
-- grain: one row   reads: expired   parameters: first, last, after, last_id
select count(*) from expired where day between $first and $last and resolved_at is null and id > $after and id <= $last_id;
