-- daily_sessions: its defining SELECT over the accepted rows of days that are not sealed; what verify, repair and rebuild compare and fill it with.
-- grain: (day, entry_channel)   reads: session_day
select day, entry_channel, count(*) as sessions, sum((page_views > 0)::int) as with_page_view, sum((product_views > 0)::int) as with_product_view,
       sum((cart_adds > 0)::int) as with_cart_add, sum((checkout_starts > 0)::int) as with_checkout_start, sum((purchases > 0)::int) as with_purchase
from main.session_day group by day, entry_channel
