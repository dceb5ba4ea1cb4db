-- funnel: how far the sessions of a day came, by the channel that they began with, and how long each step took.
-- grain: (day, entry_channel)   reads: session_day, touchpoint
-- A session is a (day, session_id). It counts at every stage that it has an event of, in whatever order they came.
/*
unit = "day"
kept_by = "day"
formula = "conversion = with_purchase / sessions"
limits = ["a session that crosses midnight counts as two", "steps are timed by the first event of each stage; where the later stage's came first, the step has no time"]
[columns]
day = { about = "the day" }
entry_channel = { about = "the channel of the session's first touchpoint" }
sessions = { about = "all sessions" }
with_page_view = { about = "sessions with at least one page_view" }
with_product_view = { about = "sessions with at least one product_view" }
with_cart_add = { about = "sessions with at least one cart_add" }
with_checkout_start = { about = "sessions with at least one checkout_start" }
with_purchase = { about = "sessions with at least one purchase event" }
conversion = { unit = "fraction", about = "sessions with a purchase by all sessions" }
seconds_to_product_view = { unit = "seconds", about = "median from the first page_view to the first product_view; null where no session has both in order" }
seconds_to_cart_add = { unit = "seconds", about = "median from the first product_view to the first cart_add" }
seconds_to_checkout_start = { unit = "seconds", about = "median from the first cart_add to the first checkout_start" }
seconds_to_purchase = { unit = "seconds", about = "median from the first checkout_start to the first purchase" }

[[audits]]
name = "no stage has more sessions than there are"
query = "select day, entry_channel from funnel where greatest(with_page_view, with_product_view, with_cart_add, with_checkout_start, with_purchase) > sessions"

[[audits]]
name = "stages are those of the day's sessions"
query = """
    select day, entry_channel, f.sessions, d.sessions
    from funnel as f full join (select * from daily_sessions where day <= $as_of) as d using (day, entry_channel)
    where (f.sessions is distinct from d.sessions or f.with_cart_add is distinct from d.with_cart_add or f.with_purchase is distinct from d.with_purchase)
      and day in (select day from day_state where changed_at <= $read_at and not is_sealed)
"""

[[audits]]
name = "conversion is a fraction, and no step ends before it begins"
query = """
    select * from funnel
    where conversion not between 0 and 1
       or least(seconds_to_product_view, seconds_to_cart_add, seconds_to_checkout_start, seconds_to_purchase) < 0
"""

[[questions]]
ask = "Where do visitors of each channel drop out?"
sql = "select entry_channel, sum(sessions) as sessions, sum(with_product_view) as with_product_view, sum(with_cart_add) as with_cart_add, sum(with_purchase) as with_purchase from funnel group by entry_channel order by entry_channel"
*/
with firsts as (
    select day, session_id, min(occurred_at) filter (where event_type = 'page_view') as page_view,
           min(occurred_at) filter (where event_type = 'product_view') as product_view, min(occurred_at) filter (where event_type = 'cart_add') as cart_add,
           min(occurred_at) filter (where event_type = 'checkout_start') as checkout_start, min(occurred_at) filter (where event_type = 'purchase') as purchase
    from touchpoint
    where event_type in ('page_view', 'product_view', 'cart_add', 'checkout_start', 'purchase')
    group by day, session_id
),
timed as (
    select s.day, s.entry_channel, s.page_views, s.product_views, s.cart_adds, s.checkout_starts, s.purchases,
           case when f.product_view >= f.page_view then date_diff('microsecond', f.page_view, f.product_view) end as to_product_view,
           case when f.cart_add >= f.product_view then date_diff('microsecond', f.product_view, f.cart_add) end as to_cart_add,
           case when f.checkout_start >= f.cart_add then date_diff('microsecond', f.cart_add, f.checkout_start) end as to_checkout_start,
           case when f.purchase >= f.checkout_start then date_diff('microsecond', f.checkout_start, f.purchase) end as to_purchase
    from session_day s left join firsts f on f.day = s.day and f.session_id = s.session_id
)
select day, entry_channel, count(*) as sessions, count(*) filter (where page_views > 0) as with_page_view,
       count(*) filter (where product_views > 0) as with_product_view, count(*) filter (where cart_adds > 0) as with_cart_add,
       count(*) filter (where checkout_starts > 0) as with_checkout_start, count(*) filter (where purchases > 0) as with_purchase,
       cast(count(*) filter (where purchases > 0) as double) / count(*) as conversion,
       median(cast(to_product_view as double)) / 1000000 as seconds_to_product_view, median(cast(to_cart_add as double)) / 1000000 as seconds_to_cart_add,
       median(cast(to_checkout_start as double)) / 1000000 as seconds_to_checkout_start, median(cast(to_purchase as double)) / 1000000 as seconds_to_purchase
from timed
group by day, entry_channel
