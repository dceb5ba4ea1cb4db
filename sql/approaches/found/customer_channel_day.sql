-- customer_channel_day: its rows that this commit added to.
-- reads: customer_channel_day, delta_customer_channel_day
select t.*
from customer_channel_day as t
semi join (from delta_customer_channel_day where stored_rowid is not null) as d on d.day = t.day and d.channel = t.channel and d.customer_id = t.customer_id
