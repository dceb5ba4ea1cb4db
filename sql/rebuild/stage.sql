-- stage: decoded events of the days that are rebuilt are laid aside until all are there.
-- grain: seq   reads: staged_touchpoint, staged_order   writes: rebuild_touchpoint, rebuild_order   parameters: base
insert into rebuild_touchpoint by name select * replace (seq + $base as seq) from staged_touchpoint;
insert into rebuild_order by name select * replace (seq + $base as seq) from staged_order;
