-- forget_dirty: every mart that there is has seen these entries.
-- parameters: names
delete from mart_dirty where id <= (select min(dirty_id) from mart_state where mart in (select unnest($names)));
