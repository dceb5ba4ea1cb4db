-- forget_dirty: what every mart that is refreshed has seen. Any other one has missed it: should it come back, all of it is computed anew.
-- parameters: names
update mart_state set version = '' where mart not in (select unnest($names)) and version <> '';
delete from mart_dirty where id <= (select min(dirty_id) from mart_state where mart in (select unnest($names)));
