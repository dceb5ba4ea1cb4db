-- daily_sessions: key (day, entry_channel), a session is a (day, session_id)
select day, entry_channel, count(*) as sessions, sum((page_views > 0)::int) as with_page_view, sum((product_views > 0)::int) as with_product_view, sum((cart_adds > 0)::int) as with_cart_add,
       sum((checkout_starts > 0)::int) as with_checkout_start, sum((purchases > 0)::int) as with_purchase
from session_day group by day, entry_channel;
