-- open_cart: carts that no order followed: sessions with a cart_add, without a purchase event, and no counted order of the session's customer
-- grain: (day, session_id)   reads: session_day, order_current   parameters: abandoned_after_hours
-- from its start to abandoned_after_hours after its end. A cart counts as abandoned once that time has passed as_of; until then it is pending.
/*
unit = "customer"
priority = 10
internal = true
[columns]
day = { about = "the session's day" }
session_id = { about = "the session" }
customer_id = { about = "the session's customer" }
ended_at = { unit = "UTC", about = "its last touchpoint" }
*/
select s.day, s.session_id, s.customer_id, s.ended_at
from session_day as s
where s.customer_id is not null and s.cart_adds > 0 and s.purchases = 0
  and not exists (
      select 1 from order_current as o
      where o.counted and o.customer_id = s.customer_id and o.ordered_at >= s.started_at
        and date_diff('microsecond', s.ended_at, o.ordered_at) <= cast($abandoned_after_hours as bigint) * 3600000000
  )
