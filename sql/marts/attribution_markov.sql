-- attribution_markov: by month, a Markov chain of order 1 over channels and one over campaigns: removal effects, and credit by them.
-- grain: (month, states, channel, campaign)   reads: attribution_credit, attribution_null   parameters: touch_window_hours
-- Its rows are made of counts of transitions, which add up: from the touch before (null: the start) to a touch, and from a journey's last touch
-- to a conversion or to none.
/*
function = "attribution_markov"
priority = 13
formula = """
Converting journeys are the windows of the month's conversions; null journeys are the runs of touches in no window whose last touch is in the
month, counted once its window has passed as_of. P is the probability to reach a conversion from the start, P(s) that where whoever comes to
s is lost; removal effect 1 - P(s) / P (Anderl et al. 2016, from the fundamental matrix), share: of the sum of the effects.
"""
limits = ["Conversions without a touch stay outside the chain; attribution_channel shows them as (unattributed).", "A late order turns null journeys into converting ones, so past months change."]
[columns]
month = { about = "month of the conversions, its first day" }
states = { about = "the chain's states: channel or campaign" }
channel = { about = "the channel" }
campaign = { about = "the campaign, or (none); (all) where states are channels" }
probability = { about = "P: how likely a journey of the month converts, by the chain" }
removal_effect = { about = "the part of P that would be lost without this state" }
share = { about = "removal effect by the sum of all" }
conversions = { about = "share of the month's conversions that have a touch" }
credit_cents = { unit = "minor units", about = "share of their value, to the cent by largest remainder, ties by name" }

[[audits]]
name = "probabilities, effects and shares are fractions, shares sum to 1"
query = """
    select month, states from attribution_markov group by month, states
    having abs(sum(share) - 1) > 1e-9 or min(share) < 0 or min(removal_effect) < -1e-9 or max(removal_effect) > 1 + 1e-9 or max(probability) > 1 + 1e-9
"""

[[questions]]
ask = "Which channels would be missed most?"
sql = "select month, channel, removal_effect, share from attribution_markov where states = 'channel' order by month, removal_effect desc, channel"
*/
with journey as (
    select cast(date_trunc('month', order_day) as date) as month, true as converts, place, places, channel, campaign, previous_channel, previous_campaign
    from attribution_credit where event_id is not null
    union all
    select cast(date_trunc('month', last_day) as date) as month, false as converts, place, places, channel, campaign, previous_channel, previous_campaign
    from attribution_null
    where date_diff('microsecond', last_at, cast($as_of_end as timestamp)) >= cast($touch_window_hours as bigint) * 3600000000
)
select month, previous_channel, previous_campaign, channel, campaign, cast(null as boolean) as converts, count(*) as journeys
from journey group by month, previous_channel, previous_campaign, channel, campaign
union all
select month, channel as previous_channel, campaign as previous_campaign, cast(null as varchar) as channel, cast(null as varchar) as campaign, converts,
       count(*) as journeys
from journey where place = places group by month, channel, campaign, converts
order by month, previous_channel, previous_campaign, channel, campaign, converts
