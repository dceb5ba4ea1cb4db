-- attribution_channel: what each model gives each channel by day and by month, beside what the channel cost; (unattributed) had no touch.
-- grain: (period_kind, period, model, channel)   reads: attribution_campaign, attribution_markov
-- Rule models and costs add up over campaigns; in the place of Markov's chain of campaigns stands that of channels.
/*
priority = 15
formula = "roas = credit_cents / cost_cents; cpa = cost_cents / conversions"
limits = [
    "Per period and model, conversions sum to the period's conversions and credit_cents to their value, to the cent, (unattributed) included.",
    "Credit stands at the day of the conversion, cost at the day it was spent.",
    "markov has months only, one chain a month; a row that would be all zero is not there.",
]
[columns]
period_kind = { about = "day or month" }
period = { about = "the day, or the month's first day" }
model = { about = "a rule model of attribution_touch, or markov" }
channel = { about = "the channel, or (unattributed)" }
conversions = { about = "sum of weights" }
credit_cents = { unit = "minor units", about = "what the model gives it of the conversions' value" }
cost_cents = { unit = "minor units", about = "what was spent on it in the period, the same for each model" }
roas = { about = "credit by cost" }
cpa = { unit = "minor units", about = "cost by conversion" }

[[audits]]
name = "sums are those of the campaigns"
query = """
    select period_kind, period, model
    from (
        select period_kind, period, model, conversions, credit_cents, cost_cents from attribution_channel
        union all
        select period_kind, period, model, -conversions, -credit_cents, -cost_cents from attribution_campaign
    ) as both_sides
    group by period_kind, period, model
    having sum(credit_cents) <> 0 or sum(cost_cents) <> 0 or abs(sum(conversions)) > 1e-6
"""

[[questions]]
ask = "What did each channel return by three models?"
sql = "select period, channel, model, conversions, credit_cents, roas from attribution_channel where period_kind = 'month' and model in ('last', 'shapley', 'markov') order by period, channel, model"
*/
with part as (
    select c.period_kind, c.period, c.model, c.channel, c.cost_cents, c.conversions - coalesce(m.conversions, 0) as conversions,
           c.credit_cents - coalesce(m.credit_cents, 0) as credit_cents
    from attribution_campaign as c
    left join attribution_markov as m
    on c.model = 'markov' and m.states = 'campaign' and m.month = c.period and m.channel = c.channel and m.campaign = c.campaign
    union all
    select 'month' as period_kind, month as period, 'markov' as model, channel, cast(0 as decimal(38, 0)) as cost_cents, conversions, credit_cents
    from attribution_markov where states = 'channel'
),
summed as (
    select period_kind, period, model, channel, sum(conversions) as conversions, cast(sum(credit_cents) as decimal(38, 0)) as credit_cents,
           cast(sum(cost_cents) as decimal(38, 0)) as cost_cents
    from part group by period_kind, period, model, channel
)
select period_kind, period, model, channel, conversions, credit_cents, cost_cents,
       cast(credit_cents as double) / nullif(greatest(cast(cost_cents as double), 0), 0) as roas,
       cast(cost_cents as double) / nullif(conversions, 0) as cpa
from summed
where conversions > 0 or credit_cents <> 0 or cost_cents <> 0
