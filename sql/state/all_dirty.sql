-- all_dirty: rows were put in or taken out in another way than by merging: the marts are to be computed anew.
-- grain: id   writes: mart_dirty
insert into mart_dirty (customer_id) values (null);
