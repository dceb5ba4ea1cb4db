-- customer_day: each customer's activity of a day; money in the reporting currency.
-- grain: (day, customer_id)   reads: batch_touchpoint, order_change   writes: delta_customer_day, customer_day   parameters: reporting_currency
-- The delta keeps what was there before (old_touchpoints, old_orders): customer_first and daily_users are made of what came and went.
create or replace temp table delta_customer_day as
with change as (
    select day, customer_id, count(*) as touchpoints,
           count(*) filter (where event_type = 'page_view') as page_views, count(*) filter (where event_type = 'product_view') as product_views,
           count(*) filter (where event_type = 'cart_add') as cart_adds, count(*) filter (where event_type = 'checkout_start') as checkout_starts,
           count(*) filter (where event_type = 'purchase') as purchases, count(*) filter (where event_type = 'ad_click') as ad_clicks,
           count(*) filter (where event_type = 'email_sent') as emails_sent, count(*) filter (where event_type = 'email_open') as email_opens,
           count(*) filter (where event_type = 'email_click') as email_clicks,
           0 as orders, 0 as orders_other_currency, 0 as units, cast(0 as hugeint) as net_cents
    from batch_touchpoint where customer_id is not null group by day, customer_id
    union all
    select day, customer_id, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
           sum(sign * (currency = $reporting_currency)::int), sum(sign * (currency <> $reporting_currency)::int),
           coalesce(sum(sign * units) filter (where currency = $reporting_currency), 0),
           coalesce(sum(sign * net_cents) filter (where currency = $reporting_currency), 0)
    from order_change group by day, customer_id
),
delta as (
    select day, customer_id, sum(touchpoints) as touchpoints, sum(page_views) as page_views, sum(product_views) as product_views,
           sum(cart_adds) as cart_adds, sum(checkout_starts) as checkout_starts, sum(purchases) as purchases, sum(ad_clicks) as ad_clicks,
           sum(emails_sent) as emails_sent, sum(email_opens) as email_opens, sum(email_clicks) as email_clicks,
           sum(orders) as orders, sum(orders_other_currency) as orders_other_currency, sum(units) as units, sum(net_cents) as net_cents
    from change group by day, customer_id
)
select delta.*, t.rowid as stored_rowid, coalesce(t.touchpoints, 0) as old_touchpoints, coalesce(t.orders + t.orders_other_currency, 0) as old_orders,
       old_touchpoints + delta.touchpoints as new_touchpoints, old_orders + delta.orders + delta.orders_other_currency as new_orders
from delta
left join customer_day as t on t.day = delta.day and t.customer_id = delta.customer_id;

merge into customer_day as target
using delta_customer_day as delta
on target.rowid = delta.stored_rowid
when matched and delta.new_touchpoints = 0 and delta.new_orders = 0 then delete
when matched then update set
    touchpoints = target.touchpoints + delta.touchpoints, page_views = target.page_views + delta.page_views,
    product_views = target.product_views + delta.product_views, cart_adds = target.cart_adds + delta.cart_adds,
    checkout_starts = target.checkout_starts + delta.checkout_starts, purchases = target.purchases + delta.purchases,
    ad_clicks = target.ad_clicks + delta.ad_clicks, emails_sent = target.emails_sent + delta.emails_sent,
    email_opens = target.email_opens + delta.email_opens, email_clicks = target.email_clicks + delta.email_clicks,
    orders = target.orders + delta.orders, orders_other_currency = target.orders_other_currency + delta.orders_other_currency,
    units = target.units + delta.units, net_cents = target.net_cents + delta.net_cents
when not matched and delta.new_touchpoints + delta.new_orders > 0 then insert (
    day, customer_id, touchpoints, page_views, product_views, cart_adds, checkout_starts, purchases, ad_clicks, emails_sent, email_opens, email_clicks,
    orders, orders_other_currency, units, net_cents
) values (
    delta.day, delta.customer_id, delta.touchpoints, delta.page_views, delta.product_views, delta.cart_adds, delta.checkout_starts, delta.purchases,
    delta.ad_clicks, delta.emails_sent, delta.email_opens, delta.email_clicks, delta.orders, delta.orders_other_currency, delta.units, delta.net_cents
);
