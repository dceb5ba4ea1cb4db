-- daily_sessions: sessions by entry channel and the stages that they reached; a session is a (day, session_id).
-- grain: (day, entry_channel)   reads: delta_session_day   writes: delta_daily_sessions, daily_sessions
-- A late touchpoint may become a session's entry: the session then moves from one channel to another.
create or replace temp table delta_daily_sessions as
with change as (
    select 1 as sign, day, entry_channel, page_views, product_views, cart_adds, checkout_starts, purchases from delta_session_day
    union all
    select -1, day, old_entry_channel, old_page_views, old_product_views, old_cart_adds, old_checkout_starts, old_purchases
    from delta_session_day where old_entry_channel is not null
)
select day, entry_channel, sum(sign) as sessions, sum(sign * (page_views > 0)::int) as with_page_view,
       sum(sign * (product_views > 0)::int) as with_product_view, sum(sign * (cart_adds > 0)::int) as with_cart_add,
       sum(sign * (checkout_starts > 0)::int) as with_checkout_start, sum(sign * (purchases > 0)::int) as with_purchase
from change
group by day, entry_channel
having sum(sign) <> 0 or with_page_view <> 0 or with_product_view <> 0 or with_cart_add <> 0 or with_checkout_start <> 0 or with_purchase <> 0;

merge into daily_sessions as target
using delta_daily_sessions as delta
on target.day = delta.day and target.entry_channel = delta.entry_channel
when matched and target.sessions + delta.sessions = 0 then delete
when matched then update set
    sessions = target.sessions + delta.sessions, with_page_view = target.with_page_view + delta.with_page_view,
    with_product_view = target.with_product_view + delta.with_product_view, with_cart_add = target.with_cart_add + delta.with_cart_add,
    with_checkout_start = target.with_checkout_start + delta.with_checkout_start, with_purchase = target.with_purchase + delta.with_purchase
when not matched then insert by name;
