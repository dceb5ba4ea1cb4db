-- attribution_credit: every conversion with the touches of its window, and what each rule model gives them.
-- grain: (order_day, order_id, place)   reads: counted_order, attribution_event
-- parameters: touch_window_hours, direct_channels, half_life_days, u_shaped, j_shaped, w_shaped, two_touch
-- A conversion without a touch is one row without event_id that has it all. A weight is a quotient of whole numbers (share / of), so credits and
-- their remainders are exact, and ties are ties: cents * share // of, then one cent more in order of the remainders until all are given away.
-- Half lives are counted in 2^-50, which is as fine as a double; shapley's quotients have divisors of their own, so its remainders are doubles,
-- rounded right and thus equal if and only if they are.
/*
unit = "customer"
at_a_time = 100000
priority = 11
internal = true
kept_by = "order_day"
[columns]
order_day = { about = "day of the conversion" }
order_id = { about = "the conversion" }
place = { about = "the touch's place in the window, from 1" }
places = { about = "touches of the window; 1 where there is none" }
customer_id = { about = "the customer" }
ordered_at = { unit = "UTC", about = "when it was ordered" }
net_cents = { unit = "minor units", about = "the conversion's value" }
event_day = { about = "day of the touch; null where there is none" }
event_id = { about = "the touch; null where there is none" }
occurred_at = { unit = "UTC", about = "when the touch happened" }
channel = { about = "its channel" }
campaign = { about = "its campaign, or (none)" }
previous_channel = { about = "channel of the touch before it in the window" }
previous_campaign = { about = "campaign of the touch before it in the window" }
first_at = { unit = "UTC", about = "the window's first touch" }
path = { about = "the window's channels in order, by >; on the row of its last touch" }
weight_first = { about = "share of the conversion, by model" }
weight_last = { about = "the same" }
weight_last_non_direct = { about = "the same" }
weight_linear = { about = "the same" }
weight_time_decay = { about = "the same" }
weight_u_shaped = { about = "the same" }
weight_j_shaped = { about = "the same" }
weight_w_shaped = { about = "the same" }
weight_shapley = { about = "the same" }
credit_first = { unit = "minor units", about = "share of the value, by model" }
credit_last = { unit = "minor units", about = "the same" }
credit_last_non_direct = { unit = "minor units", about = "the same" }
credit_linear = { unit = "minor units", about = "the same" }
credit_time_decay = { unit = "minor units", about = "the same" }
credit_u_shaped = { unit = "minor units", about = "the same" }
credit_j_shaped = { unit = "minor units", about = "the same" }
credit_w_shaped = { unit = "minor units", about = "the same" }
credit_shapley = { unit = "minor units", about = "the same" }

[[audits]]
name = "credits sum to the money of the order, weights to 1"
query = """
    select order_day, order_id from attribution_credit group by order_day, order_id
    having count(*) <> max(places) or min(net_cents) <> max(net_cents)
        or sum(credit_first) <> max(net_cents) or abs(sum(weight_first) - 1) > 1e-9
        or sum(credit_last) <> max(net_cents) or abs(sum(weight_last) - 1) > 1e-9
        or sum(credit_last_non_direct) <> max(net_cents) or abs(sum(weight_last_non_direct) - 1) > 1e-9
        or sum(credit_linear) <> max(net_cents) or abs(sum(weight_linear) - 1) > 1e-9
        or sum(credit_time_decay) <> max(net_cents) or abs(sum(weight_time_decay) - 1) > 1e-9
        or sum(credit_u_shaped) <> max(net_cents) or abs(sum(weight_u_shaped) - 1) > 1e-9
        or sum(credit_j_shaped) <> max(net_cents) or abs(sum(weight_j_shaped) - 1) > 1e-9
        or sum(credit_w_shaped) <> max(net_cents) or abs(sum(weight_w_shaped) - 1) > 1e-9
        or sum(credit_shapley) <> max(net_cents) or abs(sum(weight_shapley) - 1) > 1e-9
"""

[[audits]]
name = "every conversion is there"
query = """
    select day, given.conversions, sold.orders, given.cents, sold.net_cents
    from (select order_day as day, count(*) as conversions, sum(net_cents) as cents from attribution_credit where place = 1 group by order_day) as given
    full join (
        select day, count(*) as orders, sum(net_cents) as net_cents
        from order_current where counted and currency = $reporting_currency and day <= $as_of group by day
    ) as sold using (day)
    where day in (select day from day_state where changed_at <= $read_at and not is_sealed)
      and (given.conversions is distinct from sold.orders or given.cents is distinct from sold.net_cents)
"""

[[audits]]
name = "touches are those of the customer, within the window"
query = """
    select c.order_day, c.order_id, c.event_day, c.event_id
    from attribution_credit as c left join attribution_event as e on e.day = c.event_day and e.event_id = c.event_id and e.customer_id = c.customer_id
    where c.event_id is not null
      and (not coalesce(e.is_touch, false) or c.occurred_at > c.ordered_at
           or date_diff('microsecond', c.occurred_at, c.ordered_at) >= cast($touch_window_hours as bigint) * 3600000000)
"""
*/
with conversion as (
    select day as order_day, order_id, customer_id, ordered_at, net_cents, abs(net_cents) as cents, row_number() over (order by day, order_id) as conversion
    from counted_order
),
channel_number as (
    select channel, row_number() over (order by channel) as channel_number from (select distinct channel from attribution_event) as channels
),
seen as (
    select c.conversion, c.cents, t.day as event_day, t.event_id, t.occurred_at, t.channel, t.campaign, n.channel_number,
           not list_contains($direct_channels, t.channel) as is_chosen,
           row_number() over in_order as place, lag(t.channel) over in_order as previous_channel, lag(t.campaign) over in_order as previous_campaign
    from conversion as c
    join attribution_event as t
      on t.customer_id = c.customer_id and t.is_touch and t.occurred_at <= c.ordered_at
     and date_diff('microsecond', t.occurred_at, c.ordered_at) < cast($touch_window_hours as bigint) * 3600000000
    join channel_number as n on n.channel = t.channel
    window in_order as (partition by c.conversion order by t.occurred_at, t.event_id)
),
first_cart_add as (
    select c.conversion, min(e.occurred_at) as cart_add_at
    from conversion as c
    join attribution_event as e
      on e.customer_id = c.customer_id and e.is_cart_add and e.occurred_at <= c.ordered_at
     and date_diff('microsecond', e.occurred_at, c.ordered_at) < cast($touch_window_hours as bigint) * 3600000000
    group by c.conversion
),
on_channel as (
    select conversion, channel_number, count(*) as channel_touches from seen group by conversion, channel_number
),
windowed as (
    select s.conversion, count(*) as touches, min(s.occurred_at) as first_at, max(s.occurred_at) as last_at,
           count(distinct s.channel_number) as channels,
           string_agg(s.channel, ' > ' order by s.place) as path,
           max(s.place) filter (where s.occurred_at <= a.cart_add_at) as lead_place, max(s.place) filter (where s.is_chosen) as chosen_place
    from seen as s left join first_cart_add as a on a.conversion = s.conversion
    group by s.conversion
),
-- The weight of the roles that fall on each touch and, in `all_*`, on any; `others`: the touches without a role.
roles as (
    select s.conversion, s.cents, s.place, w.touches,
           w.channels * k.channel_touches as shapley_of,
           case when s.place = 1 then $u_shaped[1] else 0 end + case when s.place = w.touches then $u_shaped[3] else 0 end as u_role,
           case when s.place = 1 then $j_shaped[1] else 0 end + case when s.place = w.touches then $j_shaped[3] else 0 end as j_role,
           case when s.place = 1 then $w_shaped[1] else 0 end + case when s.place = w.lead_place then $w_shaped[2] else 0 end
               + case when s.place = w.touches then $w_shaped[3] else 0 end as w_role,
           $u_shaped[1] + $u_shaped[3] as all_u,
           $j_shaped[1] + $j_shaped[3] as all_j,
           $w_shaped[1] + case when w.lead_place is null then 0 else $w_shaped[2] end + $w_shaped[3] as all_w,
           w.touches - 2 as others,
           w.touches - 2 - case when w.lead_place > 1 and w.lead_place < w.touches then 1 else 0 end as w_others,
           case when w.touches = 2 and $two_touch = 'split_middle' then 1 else 0 end as splits,
           cast(floor(power(cast(2 as double), 50 - coalesce(cast(date_diff('microsecond', s.occurred_at, w.last_at) as double), 0)
                                                    / (cast($half_life_days as double) * 86400000000))) as bigint) as time_share
    from windowed as w
    join seen as s on s.conversion = w.conversion
    join on_channel as k on k.conversion = s.conversion and k.channel_number = s.channel_number
    where w.touches > 1
),
shares as (
    select conversion, place, cents, shapley_of, time_share, 
           sum(time_share) over (partition by conversion) as time_of,
           case when splits = 1 then 2 * u_role + $u_shaped[2] when others = 0 then u_role when u_role = 0 then $u_shaped[2] else u_role * others end as u_share,
           case when splits = 1 then 2 * (all_u + $u_shaped[2]) when others = 0 then all_u else (all_u + $u_shaped[2]) * others end as u_of,
           case when splits = 1 then 2 * j_role + $j_shaped[2] when others = 0 then j_role when j_role = 0 then $j_shaped[2] else j_role * others end as j_share,
           case when splits = 1 then 2 * (all_j + $j_shaped[2]) when others = 0 then all_j else (all_j + $j_shaped[2]) * others end as j_of,
           case when splits = 1 then 2 * w_role + $w_shaped[4] when w_others = 0 then w_role when w_role = 0 then $w_shaped[4] else w_role * w_others end as w_share,
           case when splits = 1 then 2 * (all_w + $w_shaped[4]) when w_others = 0 then all_w else (all_w + $w_shaped[4]) * w_others end as w_of
    from roles
),
-- What each touch has for certain, and the remainder (of a cent) by which the cents that are left are given away. Models by number, for speed:
-- 1 time_decay, 2 u_shaped, 3 j_shaped, 4 w_shaped, 5 shapley.
part as (
    select 1 as model, conversion, place, cents, time_part as part,
           cast(cast(cents as decimal(38, 0)) * cast(time_share as decimal(38, 0)) - cast(time_part as decimal(38, 0)) * cast(time_of as decimal(38, 0)) as double)
               / cast(time_of as double) as rest
    from (select *, cast(floor(cast(cents as double) * cast(time_share as double) / cast(time_of as double)) as bigint) as time_part from shares) as timed
    union all
    select 2, conversion, place, cents, (cents // u_of) * u_share + (cents % u_of) * u_share // u_of,
           cast((cents % u_of) * u_share % u_of as double) / u_of
    from shares
    union all
    select 3, conversion, place, cents, (cents // j_of) * j_share + (cents % j_of) * j_share // j_of,
           cast((cents % j_of) * j_share % j_of as double) / j_of
    from shares
    union all
    select 4, conversion, place, cents, (cents // w_of) * w_share + (cents % w_of) * w_share // w_of,
           cast((cents % w_of) * w_share % w_of as double) / w_of
    from shares
    union all
    select 5, conversion, place, cents, cents // shapley_of, cast(cents % shapley_of as double) / shapley_of
    from shares
),
given as (
    select model, conversion, place,
           part + case when row_number() over (partition by conversion, model order by rest desc, place)
                            <= cents - sum(part) over (partition by conversion, model) then 1 else 0 end as credit
    from part
),
credits as (
    select conversion, place,
           max(credit) filter (where model = 1) as time_decay, max(credit) filter (where model = 2) as u_shaped,
           max(credit) filter (where model = 3) as j_shaped, max(credit) filter (where model = 4) as w_shaped,
           max(credit) filter (where model = 5) as shapley
    from given group by conversion, place
)
select c.order_day, c.order_id, coalesce(s.place, 1) as place, coalesce(w.touches, 1) as places,
       c.customer_id, c.ordered_at, c.net_cents, s.event_day, s.event_id, s.occurred_at, s.channel, s.campaign,
       s.previous_channel, s.previous_campaign, w.first_at, case when s.place = w.touches then w.path end as path,
       cast(case when coalesce(s.place = 1, true) then 1 else 0 end as double) as weight_first,
       cast(case when coalesce(s.place = w.touches, true) then 1 else 0 end as double) as weight_last,
       cast(case when coalesce(s.place = coalesce(w.chosen_place, w.touches), true) then 1 else 0 end as double) as weight_last_non_direct,
       cast(1 as double) / coalesce(w.touches, 1) as weight_linear,
       coalesce(cast(x.time_share as double) / cast(x.time_of as double), 1) as weight_time_decay,
       coalesce(cast(x.u_share as double) / cast(x.u_of as double), 1) as weight_u_shaped,
       coalesce(cast(x.j_share as double) / cast(x.j_of as double), 1) as weight_j_shaped,
       coalesce(cast(x.w_share as double) / cast(x.w_of as double), 1) as weight_w_shaped,
       coalesce(cast(1 as double) / x.shapley_of, 1) as weight_shapley,
       case when coalesce(s.place = 1, true) then c.net_cents else 0 end as credit_first,
       case when coalesce(s.place = w.touches, true) then c.net_cents else 0 end as credit_last,
       case when coalesce(s.place = coalesce(w.chosen_place, w.touches), true) then c.net_cents else 0 end as credit_last_non_direct,
       cast(sign(c.net_cents) * coalesce(c.cents // w.touches + case when s.place <= c.cents % w.touches then 1 else 0 end, c.cents) as bigint)
           as credit_linear,
       cast(sign(c.net_cents) * coalesce(g.time_decay, c.cents) as bigint) as credit_time_decay,
       cast(sign(c.net_cents) * coalesce(g.u_shaped, c.cents) as bigint) as credit_u_shaped,
       cast(sign(c.net_cents) * coalesce(g.j_shaped, c.cents) as bigint) as credit_j_shaped,
       cast(sign(c.net_cents) * coalesce(g.w_shaped, c.cents) as bigint) as credit_w_shaped,
       cast(sign(c.net_cents) * coalesce(g.shapley, c.cents) as bigint) as credit_shapley
from conversion as c
left join seen as s on s.conversion = c.conversion
left join windowed as w on w.conversion = s.conversion
left join shares as x on x.conversion = s.conversion and x.place = s.place
left join credits as g on g.conversion = s.conversion and g.place = s.place
