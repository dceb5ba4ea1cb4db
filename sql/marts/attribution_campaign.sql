-- attribution_campaign: what each model gives each campaign by day and by month, beside what it cost; (unattributed) had no touch.
-- grain: (period_kind, period, model, channel, campaign)   reads: attribution_credit, attribution_markov, daily_channel
-- Credit stands at the day of the conversion, cost at the day it was spent; whoever has the one need not have the other.
/*
priority = 14
formula = "roas = credit_cents / cost_cents; cpa = cost_cents / conversions"
limits = ["Per period and model, conversions sum to the period's conversions and credit_cents to their value, to the cent, (unattributed) included.", "markov has months only, one chain a month; a row that would be all zero is not there."]
[columns]
period_kind = { about = "day or month" }
period = { about = "the day, or the month's first day" }
model = { about = "a rule model of attribution_touch, or markov" }
channel = { about = "the channel, or (unattributed)" }
campaign = { about = "the campaign, (none) or (unattributed)" }
conversions = { about = "sum of weights" }
credit_cents = { unit = "minor units", about = "the value that the model gives it; null never" }
cost_cents = { unit = "minor units", about = "what was spent on it in the period, the same for each model" }
roas = { about = "credit by cost" }
cpa = { unit = "minor units", about = "cost by conversion" }

[[audits]]
name = "per period and model, credit is the revenue to the cent, and conversions are all"
query = """
    select period_kind, period, model, given.cents, sold.net_cents, given.conversions, sold.orders
    from (
        select period_kind, period, model, sum(credit_cents) as cents, sum(conversions) as conversions
        from attribution_campaign group by period_kind, period, model
    ) as given
    full join (
        select period_kind, period, model, net_cents, orders
        from (
            select 'day' as period_kind, order_day as period, sum(net_cents) as net_cents, count(*) as orders
            from attribution_credit where place = 1 group by order_day
            union all
            select 'month', cast(date_trunc('month', order_day) as date), sum(net_cents), count(*)
            from attribution_credit where place = 1 group by 2
        ) as ordered,
        unnest(['first', 'last', 'last_non_direct', 'linear', 'time_decay', 'u_shaped', 'j_shaped', 'w_shaped', 'shapley', 'markov']) as named(model)
        where period_kind = 'month' or model <> 'markov'
    ) as sold using (period_kind, period, model)
    where coalesce(given.cents, 0) <> coalesce(sold.net_cents, 0)
       or abs(coalesce(given.conversions, 0) - coalesce(sold.orders, 0)) > 1e-9 * greatest(1000, coalesce(sold.orders, 0))
"""
remedy = "tidemark marts refresh --full attribution_credit attribution_markov attribution_campaign"

[[audits]]
name = "cost is what the channels cost"
query = """
    select day, given.cost_cents, spent.cost_cents
    from (
        select period as day, sum(cost_cents) as cost_cents
        from attribution_campaign where period_kind = 'day' and model = 'first' group by period
    ) as given
    full join (select day, sum(cost_cents) as cost_cents from daily_channel where day <= $as_of group by day) as spent using (day)
    where coalesce(given.cost_cents, 0) <> coalesce(spent.cost_cents, 0) and day not in (select day from day_state where changed_at > $read_at)
"""

[[questions]]
ask = "Which campaigns cost more than they bring?"
sql = "select period, channel, campaign, cost_cents, credit_cents from attribution_campaign where period_kind = 'month' and model = 'linear' and cost_cents > credit_cents order by period, channel, campaign"
*/
with daily as (
    select order_day as day, case when event_id is null then '(unattributed)' else channel end as channel,
           case when event_id is null then '(unattributed)' else campaign end as campaign, event_id is null as has_no_touch,
           sum(weight_first) as weight_first, cast(sum(credit_first) as decimal(38, 0)) as credit_first,
           sum(weight_last) as weight_last, cast(sum(credit_last) as decimal(38, 0)) as credit_last,
           sum(weight_last_non_direct) as weight_last_non_direct, cast(sum(credit_last_non_direct) as decimal(38, 0)) as credit_last_non_direct,
           sum(weight_linear) as weight_linear, cast(sum(credit_linear) as decimal(38, 0)) as credit_linear,
           sum(weight_time_decay) as weight_time_decay, cast(sum(credit_time_decay) as decimal(38, 0)) as credit_time_decay,
           sum(weight_u_shaped) as weight_u_shaped, cast(sum(credit_u_shaped) as decimal(38, 0)) as credit_u_shaped,
           sum(weight_j_shaped) as weight_j_shaped, cast(sum(credit_j_shaped) as decimal(38, 0)) as credit_j_shaped,
           sum(weight_w_shaped) as weight_w_shaped, cast(sum(credit_w_shaped) as decimal(38, 0)) as credit_w_shaped,
           sum(weight_shapley) as weight_shapley, cast(sum(credit_shapley) as decimal(38, 0)) as credit_shapley
    from attribution_credit
    group by 1, 2, 3, 4
),
model as (
    select model from (values ('first'), ('last'), ('last_non_direct'), ('linear'), ('time_decay'), ('u_shaped'), ('j_shaped'), ('w_shaped'), ('shapley'), ('markov')) as names(model)
),
spent as (
    select day, channel, campaign, cast(sum(cost_cents) as decimal(38, 0)) as cost_cents from daily_channel group by day, channel, campaign
),
-- Markov's part of days is but what no touch has; its chains give the months.
part as (
    select d.day, m.model, d.channel, d.campaign,
           case m.model when 'first' then d.weight_first when 'last' then d.weight_last when 'last_non_direct' then d.weight_last_non_direct
                        when 'linear' then d.weight_linear when 'time_decay' then d.weight_time_decay when 'u_shaped' then d.weight_u_shaped
                        when 'j_shaped' then d.weight_j_shaped when 'w_shaped' then d.weight_w_shaped when 'shapley' then d.weight_shapley else d.weight_first end as weight,
           case m.model when 'first' then d.credit_first when 'last' then d.credit_last when 'last_non_direct' then d.credit_last_non_direct
                        when 'linear' then d.credit_linear when 'time_decay' then d.credit_time_decay when 'u_shaped' then d.credit_u_shaped
                        when 'j_shaped' then d.credit_j_shaped when 'w_shaped' then d.credit_w_shaped when 'shapley' then d.credit_shapley else d.credit_first end as credit_cents,
           cast(0 as decimal(38, 0)) as cost_cents
    from daily as d cross join model as m
    where m.model <> 'markov' or d.has_no_touch
    union all
    select s.day, m.model, s.channel, s.campaign, cast(0 as double) as weight, cast(0 as decimal(38, 0)) as credit_cents, s.cost_cents
    from spent as s cross join model as m
),
period as (
    select 'day' as period_kind, day as period, model, channel, campaign, weight, credit_cents, cost_cents from part where model <> 'markov'
    union all
    select 'month' as period_kind, cast(date_trunc('month', day) as date) as period, model, channel, campaign, weight, credit_cents, cost_cents from part
    union all
    select 'month' as period_kind, month as period, 'markov' as model, channel, campaign, conversions as weight, credit_cents, cast(0 as decimal(38, 0)) as cost_cents
    from attribution_markov where states = 'campaign'
),
summed as (
    select period_kind, period, model, channel, campaign, sum(weight) as conversions, cast(sum(credit_cents) as decimal(38, 0)) as credit_cents,
           cast(sum(cost_cents) as decimal(38, 0)) as cost_cents
    from period group by period_kind, period, model, channel, campaign
)
select period_kind, period, model, channel, campaign, conversions, credit_cents, cost_cents,
       cast(credit_cents as double) / nullif(greatest(cast(cost_cents as double), 0), 0) as roas,
       cast(cost_cents as double) / nullif(conversions, 0) as cpa
from summed
where conversions > 0 or credit_cents <> 0 or cost_cents <> 0
