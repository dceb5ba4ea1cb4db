-- dirty_customer: the customers of whom something may have changed for a mart since it was last refreshed.
-- grain: customer_id   reads: changed_session, touchpoint, order_current, customer, mart_dirty   writes: dirty_customer
-- parameters: as_of, last_as_of, read_at, dirty_id
-- A session that changed concerns all customers in it: its anonymous touchpoints may have gone from one to another.
create or replace temp table dirty_customer as
select t.customer_id from touchpoint as t semi join changed_session as s on s.day = t.day and s.session_id = t.session_id
where t.customer_id is not null and t.day >= (select min(day) from changed_session) and t.day <= $as_of
union
select customer_id from order_current where ingested_at > $read_at and day <= $as_of
union
select customer_id from order_current where day > $last_as_of and day <= $as_of
union
select customer_id from customer where ingested_at > $read_at
union
select customer_id from mart_dirty where id > $dirty_id and customer_id is not null;
