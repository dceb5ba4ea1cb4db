-- attribution: what five models give each channel in the last month that has ended; the last row is all of them.
-- grain: channel   reads: attribution_channel, mart_state
with ended as (
    select max(period) as month from attribution_channel
    where period_kind = 'month' and period + interval 1 month <= (select as_of + 1 from mart_state where mart = 'attribution_channel')
)
select period, channel, sum(cost_cents) filter (where model = 'first') as cost,
       sum(credit_cents) filter (where model = 'first') as first, sum(credit_cents) filter (where model = 'last') as last,
       sum(credit_cents) filter (where model = 'time_decay') as time_decay, sum(credit_cents) filter (where model = 'shapley') as shapley,
       sum(credit_cents) filter (where model = 'markov') as markov
from attribution_channel join ended on period = month
where period_kind = 'month'
group by grouping sets ((period, channel), (period))
order by channel is null, shapley desc, channel;
