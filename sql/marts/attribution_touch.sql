-- attribution_touch: what each rule model gives each touch of a conversion's window. (Markov works on months: attribution_markov.)
-- grain: (order_day, order_id, event_day, event_id, model)   reads: attribution_credit
/*
unit = "view"
priority = 12
kept_by = "order_day"
formula = """
Touches: touch_types and the first page_view of a session; a window holds those of touch_window_hours before the order. first, last;
last_non_direct: the last touch outside direct_channels, else the last; linear: 1/n each; time_decay: 2^(-(age - least age) / half life);
u_shaped, j_shaped: the weights of first and last, the rest evenly to those between; w_shaped: first, lead (the latest touch at or before the
window's first cart_add) and last, the rest evenly to the others; roles on one touch add up, and weights that have no touch are rescaled onto
the rest. shapley: 1/D for each distinct channel, evenly over its touches (Zhao et al. 2018). Credits: largest remainder on the absolute
value, ties by touch order, the sign restored.
"""
limits = ["Windows are not of a session or device: a person with two customer ids is two.", "A conversion without a touch has no row here."]
[columns]
order_day = { about = "day of the conversion" }
order_id = { about = "the conversion: a counted order in the reporting currency" }
event_day = { about = "day of the touch" }
event_id = { about = "the touch" }
model = { about = "first, last, last_non_direct, linear, time_decay, u_shaped, j_shaped, w_shaped or shapley" }
customer_id = { about = "who ordered" }
place = { about = "the touch's place in the window, from 1" }
channel = { about = "the touch's channel" }
campaign = { about = "the touch's campaign, or (none)" }
weight = { about = "its share of the conversion; they sum to 1 per conversion and model" }
credit_cents = { unit = "minor units", about = "its share of the conversion's value; they sum to it exactly" }

[[audits]]
name = "weights are fractions, models are the rule models"
query = """
    select * from attribution_touch
    where weight not between 0 and 1
       or model not in ('first', 'last', 'last_non_direct', 'linear', 'time_decay', 'u_shaped', 'j_shaped', 'w_shaped', 'shapley')
"""

[[questions]]
ask = "Which touches had a part in an order, by two models?"
sql = "select order_id, place, channel, model, weight, credit_cents from attribution_touch where model in ('first', 'time_decay') order by order_day, order_id, model, place limit 20"
*/
with model as (
    select model from (values ('first'), ('last'), ('last_non_direct'), ('linear'), ('time_decay'), ('u_shaped'), ('j_shaped'), ('w_shaped'), ('shapley')) as names(model)
)
select c.order_day, c.order_id, c.event_day, c.event_id, m.model, c.customer_id, c.place, c.channel, c.campaign,
       case m.model when 'first' then c.weight_first when 'last' then c.weight_last when 'last_non_direct' then c.weight_last_non_direct
                    when 'linear' then c.weight_linear when 'time_decay' then c.weight_time_decay when 'u_shaped' then c.weight_u_shaped
                    when 'j_shaped' then c.weight_j_shaped when 'w_shaped' then c.weight_w_shaped else c.weight_shapley end as weight,
       case m.model when 'first' then c.credit_first when 'last' then c.credit_last when 'last_non_direct' then c.credit_last_non_direct
                    when 'linear' then c.credit_linear when 'time_decay' then c.credit_time_decay when 'u_shaped' then c.credit_u_shaped
                    when 'j_shaped' then c.credit_j_shaped when 'w_shaped' then c.credit_w_shaped else c.credit_shapley end as credit_cents
from attribution_credit as c
cross join model as m
where c.event_id is not null
