-- customer: the greatest version of each customer; a tombstone that is greater clears name and email.
-- grain: customer_id   reads: incoming_customer_kept, version_outcome   writes: customer   parameters: ingested_at
delete from customer as c
using incoming_customer_kept as i
where c.customer_id = i.customer_id and i.seq in (select seq from version_outcome where is_winner);

insert into customer by name
select * exclude (seq, is_cleared), $ingested_at as ingested_at from incoming_customer_kept where seq in (select seq from version_outcome where is_winner);
