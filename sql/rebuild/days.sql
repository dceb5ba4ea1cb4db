-- days: the days from first to last that hold events, or will.
-- grain: day   reads: rebuild_touchpoint, rebuild_order, day_state   parameters: first, last
select day from rebuild_touchpoint where day between $first and $last
union select day from rebuild_order where day between $first and $last
union select day from day_state where day between $first and $last
order by day;
