-- moved_customer: those whom passing days have made dirty, as the mart has found them, are dirty too.
-- grain: customer_id   reads: moved_customer   writes: dirty_customer
insert into dirty_customer select customer_id from moved_customer;
