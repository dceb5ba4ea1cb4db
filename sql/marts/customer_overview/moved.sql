-- moved: whoever was active on a day that has left a window since $last_as_of, or has a cart or a sign-up that the days since decide on.
-- grain: customer_id, maybe more than once   reads: customer_day, customer_facts, open_cart, customer
-- parameters: new_customer_days, abandoned_after_hours
with passed as (
    select cast($last_as_of as date) as last_as_of, cast($as_of as date) as as_of
)
select d.customer_id from customer_day as d cross join passed as p
where (date_diff('day', d.day, p.last_as_of) < 30 and date_diff('day', d.day, p.as_of) >= 30)
   or (date_diff('day', d.day, p.last_as_of) < 90 and date_diff('day', d.day, p.as_of) >= 90)
union all
select f.customer_id from customer_facts as f cross join passed as p
where date_diff('day', f.first_active_day, p.last_as_of) < $new_customer_days and date_diff('day', f.first_active_day, p.as_of) >= $new_customer_days
union all
select c.customer_id from open_cart as c cross join passed as p
where p.last_as_of < p.as_of and date_diff('day', c.day, p.last_as_of) <= cast(ceil(cast($abandoned_after_hours as double) / 24) as bigint)
union all
select c.customer_id from customer as c cross join passed as p where date_diff('day', cast(c.signed_up_at as date), p.last_as_of) <= 1
