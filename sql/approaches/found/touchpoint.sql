-- touchpoint: the stored touchpoints that this commit found to be repeated.
-- reads: touchpoint, stored_touchpoint
select * exclude (event_id) from touchpoint where rowid in (select stored_rowid from stored_touchpoint)
