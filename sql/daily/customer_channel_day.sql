-- customer_channel_day: each customer's touchpoints of a day by channel; they only add. What is stored is looked for once: stored_rowid is null for a new key.
-- grain: (day, channel, customer_id)   reads: batch_touchpoint   writes: delta_customer_channel_day, customer_channel_day
create or replace temp table delta_customer_channel_day as
with delta as (
    select day, channel, customer_id, count(*) as touchpoints, coalesce(sum(cost_cents), 0) as cost_cents
    from batch_touchpoint where customer_id is not null group by day, channel, customer_id
)
select delta.*, t.rowid as stored_rowid
from delta
left join customer_channel_day as t on t.day = delta.day and t.channel = delta.channel and t.customer_id = delta.customer_id;

merge into customer_channel_day as target
using delta_customer_channel_day as delta
on target.rowid = delta.stored_rowid
when matched then update set touchpoints = target.touchpoints + delta.touchpoints, cost_cents = target.cost_cents + delta.cost_cents
when not matched then insert (day, channel, customer_id, touchpoints, cost_cents)
    values (delta.day, delta.channel, delta.customer_id, delta.touchpoints, delta.cost_cents);
