-- all_dirty: whether everything must be computed anew, for rows were put in or taken out in another way than by merging.
select count(*) > 0 from mart_dirty where id > $dirty_id and customer_id is null;
