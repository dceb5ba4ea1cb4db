-- moved: whoever ordered on a day that has left the last rfm_days since $last_as_of.
-- grain: customer_id, maybe more than once   reads: customer_day   parameters: rfm_days
select customer_id from customer_day
where orders > 0 and date_diff('day', day, cast($last_as_of as date)) < $rfm_days and date_diff('day', day, cast($as_of as date)) >= $rfm_days
