-- version, incoming_customer_kept: the batch's customers with the stored ones of the same ids; what a tombstone covers has lost name and email.
-- grain: version   reads: incoming_customer, customer, tombstone   writes: incoming_customer_kept, version
create or replace temp table incoming_customer_kept as
select i.* replace (
    case when is_cleared then null else name end as name, case when is_cleared then null else email end as email
)
from (
    select i.*, t.id is not null and (i.updated_at, i."offset", i.partition) <= (t.updated_at, t."offset", t.partition) as is_cleared
    from incoming_customer as i left join tombstone as t on t.stream = 'customers' and t.id = i.customer_id
) as i;

create or replace temp table version as
select cast(null as date) as key_day, customer_id as key_id, seq, updated_at, "offset", partition,
       md5(cast(to_json(struct_pack(customer_unique_id, name, email, city, state, country, signed_up_at)) as varchar)) as content_hash
from incoming_customer_kept
union all
select null, c.customer_id, -1, c.updated_at, c."offset", c.partition,
       md5(cast(to_json(struct_pack(c.customer_unique_id, c.name, c.email, c.city, c.state, c.country, c.signed_up_at)) as varchar))
from customer as c semi join incoming_customer as i on c.customer_id = i.customer_id;
