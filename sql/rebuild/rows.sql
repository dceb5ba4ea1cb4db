-- rows: the day's events take the place of those that were stored.
-- reads: gone_touchpoint, batch_touchpoint, gone_order, changed_order   writes: touchpoint, order_current   parameters: ingested_at
delete from touchpoint where rowid in (select stored_rowid from gone_touchpoint);
insert into touchpoint by name select * exclude (seq), $ingested_at as ingested_at from batch_touchpoint;
delete from order_current where rowid in (select stored_rowid from gone_order);
insert into order_current by name select * exclude (seq), $ingested_at as ingested_at from changed_order;
