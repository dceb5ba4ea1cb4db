-- clear: what a rebuild that ends has laid aside, and not brought in. One that has not begun has laid nothing aside: it may be another's.
-- grain: seq   reads: job   writes: rebuild_touchpoint, rebuild_order   parameters: id
delete from rebuild_touchpoint where exists (from job where id = $id and kind = 'rebuild' and resume_point is not null);
delete from rebuild_order where exists (from job where id = $id and kind = 'rebuild' and resume_point is not null);
