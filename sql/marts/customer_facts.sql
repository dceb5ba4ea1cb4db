-- customer_facts: what is known of each customer; the marts of customers build upon it. Passing days change only what is recent.
-- grain: (customer_id)   reads: customer_first, customer_day, session_day, order_current, counted_order   parameters: comeback_gap_days, rfm_days
-- Every source is brought to a row per customer before it is joined. Orders, units and money are those of the reporting currency.
/*
unit = "customer"
moved = "moved"
priority = 10
internal = true
[columns]
customer_id = { about = "the customer" }
first_active_day = { about = "day of the first identified touchpoint or counted order, of any currency; stays when days are sealed" }
first_touch_day = { about = "day of the first identified touchpoint; stays when days are sealed" }
first_sale_day = { about = "day of the first counted order of any currency; stays when days are sealed" }
first_order_day = { about = "day of the first order" }
last_order_day = { about = "day of the last order" }
comeback_day = { about = "the latest order day that came more than comeback_gap_days after the order day before it" }
orders = { about = "counted orders" }
order_days = { about = "distinct days with an order" }
units = { about = "pieces ordered" }
net_cents = { unit = "minor units", about = "net of the orders" }
recent_orders = { about = "orders of the last rfm_days; null without any" }
recent_net_cents = { unit = "minor units", about = "their net" }
first_day_orders = { about = "orders of the first order day" }
first_day_net_cents = { unit = "minor units", about = "net of the orders of the first order day" }
orders_other_currency = { about = "counted orders of other currencies, which no other column counts" }
touchpoints = { about = "identified touchpoints" }
page_views = { about = "identified page_view events" }
product_views = { about = "identified product_view events" }
cart_adds = { about = "identified cart_add events" }
checkout_starts = { about = "identified checkout_start events" }
purchases = { about = "identified purchase events" }
ad_clicks = { about = "identified ad_click events" }
emails_sent = { about = "email_sent events" }
email_opens = { about = "email_open events" }
email_clicks = { about = "email_click events" }
sessions = { about = "sessions whose customer this is" }
categories = { about = "distinct categories of the items ordered; items without one do not count" }
preferred_category = { about = "the category with the most units, the first by name among equals" }
second_category = { about = "the category with the second most units" }
city = { about = "of the latest counted order of any currency" }
state = { about = "of the latest counted order of any currency" }
country = { about = "of the latest counted order of any currency" }

[[audits]]
name = "who ordered has a first and a last order, and they are in order"
query = """
    select * from customer_facts
    where (orders > 0) <> (first_order_day is not null) or (orders > 0) <> (last_order_day is not null) or first_order_day > last_order_day
       or order_days > orders or first_day_orders > orders or comeback_day > last_order_day or last_order_day > $as_of
"""
*/
with order_day as (
    select customer_id, day, orders, units, net_cents,
           date_diff('day', lag(day) over (partition by customer_id order by day), day) as gap_days
    from customer_day where orders > 0
),
bought as (
    select customer_id, min(day) as first_order_day, max(day) as last_order_day,
           max(day) filter (where gap_days > $comeback_gap_days) as comeback_day,
           sum(orders) as orders, count(*) as order_days, sum(units) as units, sum(net_cents) as net_cents,
           sum(orders) filter (where day > $as_of - cast($rfm_days as integer)) as recent_orders,
           sum(net_cents) filter (where day > $as_of - cast($rfm_days as integer)) as recent_net_cents,
           min_by(orders, day) filter (where orders is not null) as first_day_orders,
           min_by(net_cents, day) filter (where net_cents is not null) as first_day_net_cents
    from order_day group by customer_id
),
activity as (
    select customer_id, sum(orders_other_currency) as orders_other_currency, sum(touchpoints) as touchpoints,
           sum(page_views) as page_views, sum(product_views) as product_views, sum(cart_adds) as cart_adds,
           sum(checkout_starts) as checkout_starts, sum(purchases) as purchases, sum(ad_clicks) as ad_clicks,
           sum(emails_sent) as emails_sent, sum(email_opens) as email_opens, sum(email_clicks) as email_clicks
    from customer_day group by customer_id
),
visits as (
    select customer_id, count(*) as sessions from session_day where customer_id is not null group by customer_id
),
category_units as (
    select customer_id, item.category as category, sum(cast(item.quantity as bigint)) as units
    from (select customer_id, unnest(items) as item from counted_order) as line
    where item.category is not null
    group by customer_id, item.category
),
ranked as (
    select customer_id, category, row_number() over (partition by customer_id order by units desc, category) as place from category_units
),
taste as (
    select customer_id, count(*) as categories, max(category) filter (where place = 1) as preferred_category,
           max(category) filter (where place = 2) as second_category
    from ranked group by customer_id
),
latest as (
    select customer_id, city, state, country
    from order_current where counted
    qualify row_number() over (partition by customer_id order by ordered_at desc, order_id desc) = 1
)
select f.customer_id, f.first_active_day, f.first_touch_day, f.first_order_day as first_sale_day,
       b.first_order_day, b.last_order_day, b.comeback_day,
       cast(coalesce(b.orders, 0) as bigint) as orders, cast(coalesce(b.order_days, 0) as bigint) as order_days,
       cast(coalesce(b.units, 0) as bigint) as units, cast(coalesce(b.net_cents, 0) as decimal(38, 0)) as net_cents,
       cast(b.recent_orders as bigint) as recent_orders, cast(b.recent_net_cents as decimal(38, 0)) as recent_net_cents,
       cast(coalesce(b.first_day_orders, 0) as bigint) as first_day_orders, cast(coalesce(b.first_day_net_cents, 0) as decimal(38, 0)) as first_day_net_cents,
       cast(coalesce(a.orders_other_currency, 0) as bigint) as orders_other_currency,
       cast(coalesce(a.touchpoints, 0) as bigint) as touchpoints, cast(coalesce(a.page_views, 0) as bigint) as page_views,
       cast(coalesce(a.product_views, 0) as bigint) as product_views, cast(coalesce(a.cart_adds, 0) as bigint) as cart_adds,
       cast(coalesce(a.checkout_starts, 0) as bigint) as checkout_starts, cast(coalesce(a.purchases, 0) as bigint) as purchases,
       cast(coalesce(a.ad_clicks, 0) as bigint) as ad_clicks, cast(coalesce(a.emails_sent, 0) as bigint) as emails_sent,
       cast(coalesce(a.email_opens, 0) as bigint) as email_opens, cast(coalesce(a.email_clicks, 0) as bigint) as email_clicks,
       cast(coalesce(v.sessions, 0) as bigint) as sessions,
       cast(coalesce(t.categories, 0) as bigint) as categories, t.preferred_category, t.second_category,
       l.city, l.state, l.country
from customer_first as f
left join bought as b on b.customer_id = f.customer_id
left join activity as a on a.customer_id = f.customer_id
left join visits as v on v.customer_id = f.customer_id
left join taste as t on t.customer_id = f.customer_id
left join latest as l on l.customer_id = f.customer_id
