-- clear: what an earlier rebuild has left, if it failed.
-- writes: rebuild_touchpoint, rebuild_order
delete from rebuild_touchpoint;
delete from rebuild_order;
