-- product: the greatest version of each product; a tombstone that is greater clears its name.
-- grain: product_id   reads: incoming_product_kept, version_outcome   writes: product
delete from product as p
using incoming_product_kept as i
where p.product_id = i.product_id and i.seq in (select seq from version_outcome where is_winner);

insert into product by name
select * exclude (seq, is_cleared, day) from incoming_product_kept where seq in (select seq from version_outcome where is_winner);
