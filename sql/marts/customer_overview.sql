-- customer_overview: what is known of each customer, a row each: who it is, what it bought, how it visits, in all and lately.
-- grain: (customer_id)   reads: customer_facts, customer, customer_day, session_day, open_cart, customer_segment, customer_value
-- parameters: new_customer_days, abandoned_after_hours
-- Everyone of the customer topic or with an identified touchpoint or a counted order up to as_of. Orders, units and money: reporting currency.
/*
unit = "customer"
moved = "moved"
follows = ["customer_segment", "customer_value"]
priority = 40
formula = "avg_order_value = total_spend / order_count; purchase_frequency_days = lifetime_days / (order_count - 1)"
limits = [
    "Name, sign-up and the rest of the customer topic are today's, whatever as_of.",
    "Days that are sealed are in the first days of customer_facts only: sums begin with the first day that is not sealed.",
]
[columns]
customer_id = { about = "the customer" }
customer_unique_id = { about = "of the customer topic" }
name = { about = "of the customer topic; null after a tombstone" }
city = { about = "of the customer topic; for a customer who is not there, of the latest counted order of any currency" }
state = { about = "as city" }
country = { about = "as city" }
signed_up_at = { unit = "UTC", about = "of the customer topic" }
customer_age_days = { unit = "days", each_day = "customer_age_days + date_diff('day', $last_as_of, $as_of)", about = "from the day of sign-up, or of the first activity if that is earlier, to as_of" }
is_new = { about = "less than new_customer_days of history: since the first touchpoint or order, if there is one" }
order_count = { about = "counted orders" }
total_spend = { unit = "minor units", about = "net of counted orders" }
avg_order_value = { unit = "minor units", about = "total_spend / order_count" }
first_order_date = { about = "day of the first order" }
last_order_date = { about = "day of the last order" }
days_since_last_order = { unit = "days", each_day = "date_diff('day', last_order_date, $as_of)", about = "from the last order's day to as_of" }
purchase_frequency_days = { unit = "days", about = "mean time between orders; null below two orders" }
lifetime_days = { unit = "days", about = "from the first order's day to the last one's" }
items = { about = "pieces ordered" }
categories = { about = "distinct categories of the items ordered; items without a category do not count" }
orders_other_currency = { about = "counted orders of other currencies, which the other columns leave out" }
website_visits = { about = "sessions whose customer this is" }
product_views = { about = "product_view events" }
cart_additions = { about = "cart_add events" }
purchases = { about = "purchase events" }
abandoned_cart_count = { about = "sessions with a cart_add, without a purchase event, and no counted order until abandoned_after_hours after their end, which as_of has passed" }
pending_cart_count = { about = "such sessions for which that time is not over" }
email_open_rate = { unit = "fraction", about = "e-mails opened / sent; null without any sent" }
email_click_rate = { unit = "fraction", about = "e-mails clicked / sent; null without any sent" }
preferred_category = { about = "the category with the most units, of items that have one" }
second_category = { about = "the category with the second most" }
rfm_score = { about = "customer_segment.rfm_score" }
rfm_segment = { about = "customer_segment.rfm_segment" }
recency_segment = { about = "customer_segment.recency_segment" }
frequency_segment = { about = "customer_segment.frequency_segment" }
monetary_segment = { about = "customer_segment.monetary_segment" }
value_tier = { about = "customer_segment.value_tier" }
lifecycle_stage = { about = "customer_segment.lifecycle_stage" }
cluster_label = { about = "customer_segment.cluster_label" }
churn_probability = { unit = "fraction", about = "customer_value.churn_probability" }
heuristic_value_12m = { unit = "minor units", about = "customer_value.heuristic_value_12m" }
value_3y = { unit = "minor units", about = "customer_value.value_3y" }
value_quartile = { about = "customer_value.value_quartile" }
p_alive = { unit = "fraction", about = "customer_value.p_alive" }
expected_orders = { about = "customer_value.expected_orders" }
model_value = { unit = "minor units", about = "customer_value.model_value" }
order_count_30d = { about = "counted orders of the last 30 days" }
total_spend_30d = { unit = "minor units", about = "their net" }
website_visits_30d = { about = "sessions of the last 30 days" }
product_views_30d = { about = "product_view events of the last 30 days" }
cart_additions_30d = { about = "cart_add events of the last 30 days" }
purchases_30d = { about = "purchase events of the last 30 days" }
abandoned_cart_count_30d = { about = "abandoned carts of sessions of the last 30 days" }
email_open_rate_30d = { unit = "fraction", about = "e-mails opened / sent in the last 30 days" }
email_click_rate_30d = { unit = "fraction", about = "e-mails clicked / sent in the last 30 days" }
order_count_90d = { about = "counted orders of the last 90 days" }
total_spend_90d = { unit = "minor units", about = "their net" }
website_visits_90d = { about = "sessions of the last 90 days" }
product_views_90d = { about = "product_view events of the last 90 days" }
cart_additions_90d = { about = "cart_add events of the last 90 days" }
purchases_90d = { about = "purchase events of the last 90 days" }
abandoned_cart_count_90d = { about = "abandoned carts of sessions of the last 90 days" }
email_open_rate_90d = { unit = "fraction", about = "e-mails opened / sent in the last 90 days" }
email_click_rate_90d = { unit = "fraction", about = "e-mails clicked / sent in the last 90 days" }

[[audits]]
name = "spend is orders times average"
query = "select * from customer_overview where order_count > 0 and abs(avg_order_value * order_count - cast(total_spend as double)) > 1e-9 * greatest(1, abs(cast(total_spend as double)))"

[[audits]]
name = "windows lie within the whole"
severity = "warning"
remedy = "An event that came late between the refreshes of customer_facts and of this mart can bring that about; the next refresh mends it."
query = "select * from customer_overview where order_count_30d > order_count_90d or order_count_90d > order_count or website_visits_30d > website_visits_90d or website_visits_90d > website_visits"

[[audits]]
name = "spend is over 0 where there are orders, refunds aside"
severity = "warning"
query = """
    select c.customer_id, c.order_count, c.total_spend, o.refunded_cents
    from customer_overview as c
    left join (
        select customer_id, sum(refunded_cents) as refunded_cents, max(ingested_at) as ingested_at
        from order_current where counted and currency = $reporting_currency and day <= $as_of group by customer_id
    ) as o on o.customer_id = c.customer_id
    where c.order_count > 0 and c.total_spend + coalesce(o.refunded_cents, 0) <= 0 and o.ingested_at <= $read_at
"""
remedy = "Orders that cost nothing, or discounts greater than prices: look at discount_total_cents of order_current."

[[audits]]
name = "customers are known, and all of them are there"
query = """
    select coalesce(o.customer_id, f.customer_id) as customer_id
    from customer_overview as o
    full join customer_facts as f on f.customer_id = o.customer_id
    left join customer as c on c.customer_id = o.customer_id
    where o.customer_id is null or (f.customer_id is null and c.customer_id is null)
"""

[[audits]]
name = "counts and times are not negative"
query = """
    select * from customer_overview
    where least(order_count, items, website_visits, days_since_last_order, lifetime_days, purchase_frequency_days) < 0
       or first_order_date > last_order_date or last_order_date > $as_of or (order_count > 0) <> (first_order_date is not null)
"""

[[audits]]
name = "carts are not more than visits"
severity = "warning"
remedy = "An event that came late between the refreshes of customer_facts and of this mart can bring that about; the next refresh mends it."
query = "select * from customer_overview where abandoned_cart_count + pending_cart_count > website_visits"

[[questions]]
ask = "Which customers spent the most and have not ordered for a while?"
sql = "select customer_id, total_spend, days_since_last_order from customer_overview where days_since_last_order > 90 order by total_spend desc, customer_id limit 20"

[[questions]]
ask = "Whose carts were abandoned in the last 30 days?"
sql = "select customer_id, abandoned_cart_count_30d from customer_overview where abandoned_cart_count_30d > 0 order by abandoned_cart_count_30d desc, customer_id limit 20"
*/
with lately as (
    select customer_id, day > cast(cast($as_of as date) - interval 30 day as date) as is_30d,
           orders, net_cents, product_views, cart_adds, purchases, emails_sent, email_opens, email_clicks
    from customer_day where day > cast(cast($as_of as date) - interval 90 day as date)
),
recent as (
    select customer_id,
           sum(orders) filter (where is_30d) as orders_30d, sum(net_cents) filter (where is_30d) as net_cents_30d,
           sum(product_views) filter (where is_30d) as product_views_30d, sum(cart_adds) filter (where is_30d) as cart_adds_30d,
           sum(purchases) filter (where is_30d) as purchases_30d, sum(emails_sent) filter (where is_30d) as emails_sent_30d,
           sum(email_opens) filter (where is_30d) as email_opens_30d, sum(email_clicks) filter (where is_30d) as email_clicks_30d,
           sum(orders) as orders_90d, sum(net_cents) as net_cents_90d, sum(product_views) as product_views_90d, sum(cart_adds) as cart_adds_90d,
           sum(purchases) as purchases_90d, sum(emails_sent) as emails_sent_90d, sum(email_opens) as email_opens_90d,
           sum(email_clicks) as email_clicks_90d
    from lately group by customer_id
),
visits as (
    select customer_id, count(*) filter (where day > cast(cast($as_of as date) - interval 30 day as date)) as sessions_30d, count(*) as sessions_90d
    from session_day
    where customer_id is not null and day > cast(cast($as_of as date) - interval 90 day as date)
    group by customer_id
),
carts as (
    select customer_id, count(*) filter (where is_abandoned) as abandoned, count(*) filter (where not is_abandoned) as pending,
           count(*) filter (where is_abandoned and age_days < 30) as abandoned_30d, count(*) filter (where is_abandoned and age_days < 90) as abandoned_90d
    from (
        select customer_id, date_diff('day', day, cast($as_of as date)) as age_days,
               date_diff('microsecond', ended_at, cast($as_of_end as timestamp)) >= cast($abandoned_after_hours as bigint) * 3600000000 as is_abandoned
        from open_cart
    ) as cart
    group by customer_id
),
known as (
    select coalesce(f.customer_id, c.customer_id) as customer_id, c.customer_unique_id, c.name,
           case when c.customer_id is null then f.city else c.city end as city, case when c.customer_id is null then f.state else c.state end as state,
           case when c.customer_id is null then f.country else c.country end as country, c.signed_up_at,
           least(cast(c.signed_up_at at time zone 'UTC' at time zone $reporting_time_zone as date), f.first_active_day) as known_since,
           f.first_active_day, f.first_order_day, f.last_order_day, coalesce(f.orders, 0) as orders, coalesce(f.net_cents, 0) as net_cents,
           coalesce(f.units, 0) as units, coalesce(f.categories, 0) as categories, coalesce(f.orders_other_currency, 0) as orders_other_currency,
           coalesce(f.sessions, 0) as sessions, coalesce(f.product_views, 0) as product_views, coalesce(f.cart_adds, 0) as cart_adds,
           coalesce(f.purchases, 0) as purchases, coalesce(f.emails_sent, 0) as emails_sent, coalesce(f.email_opens, 0) as email_opens,
           coalesce(f.email_clicks, 0) as email_clicks, f.preferred_category, f.second_category
    from customer_facts as f full outer join customer as c on c.customer_id = f.customer_id
)
select k.customer_id, k.customer_unique_id, k.name, k.city, k.state, k.country, k.signed_up_at,
       case when k.known_since <= $as_of then date_diff('day', k.known_since, cast($as_of as date)) end as customer_age_days,
       k.first_active_day is null or date_diff('day', k.first_active_day, cast($as_of as date)) < $new_customer_days as is_new,
       k.orders as order_count, k.net_cents as total_spend, cast(k.net_cents as double) / nullif(cast(k.orders as double), 0) as avg_order_value,
       k.first_order_day as first_order_date, k.last_order_day as last_order_date,
       date_diff('day', k.last_order_day, cast($as_of as date)) as days_since_last_order,
       case when k.orders > 1 then cast(date_diff('day', k.first_order_day, k.last_order_day) as double) / cast(k.orders - 1 as double) end
           as purchase_frequency_days,
       date_diff('day', k.first_order_day, k.last_order_day) as lifetime_days, k.units as items, k.categories, k.orders_other_currency,
       k.sessions as website_visits, k.product_views, k.cart_adds as cart_additions, k.purchases,
       coalesce(c.abandoned, 0) as abandoned_cart_count, coalesce(c.pending, 0) as pending_cart_count,
       cast(k.email_opens as double) / nullif(cast(k.emails_sent as double), 0) as email_open_rate,
       cast(k.email_clicks as double) / nullif(cast(k.emails_sent as double), 0) as email_click_rate,
       k.preferred_category, k.second_category,
       s.rfm_score, s.rfm_segment, s.recency_segment, s.frequency_segment, s.monetary_segment, s.value_tier, s.lifecycle_stage, s.cluster_label,
       w.churn_probability, w.heuristic_value_12m, w.value_3y, w.value_quartile, w.p_alive, w.expected_orders, w.model_value,
       cast(coalesce(r.orders_30d, 0) as bigint) as order_count_30d, cast(coalesce(r.net_cents_30d, 0) as decimal(38, 0)) as total_spend_30d,
       coalesce(v.sessions_30d, 0) as website_visits_30d, cast(coalesce(r.product_views_30d, 0) as bigint) as product_views_30d,
       cast(coalesce(r.cart_adds_30d, 0) as bigint) as cart_additions_30d, cast(coalesce(r.purchases_30d, 0) as bigint) as purchases_30d,
       coalesce(c.abandoned_30d, 0) as abandoned_cart_count_30d,
       cast(r.email_opens_30d as double) / nullif(cast(r.emails_sent_30d as double), 0) as email_open_rate_30d,
       cast(r.email_clicks_30d as double) / nullif(cast(r.emails_sent_30d as double), 0) as email_click_rate_30d,
       cast(coalesce(r.orders_90d, 0) as bigint) as order_count_90d, cast(coalesce(r.net_cents_90d, 0) as decimal(38, 0)) as total_spend_90d,
       coalesce(v.sessions_90d, 0) as website_visits_90d, cast(coalesce(r.product_views_90d, 0) as bigint) as product_views_90d,
       cast(coalesce(r.cart_adds_90d, 0) as bigint) as cart_additions_90d, cast(coalesce(r.purchases_90d, 0) as bigint) as purchases_90d,
       coalesce(c.abandoned_90d, 0) as abandoned_cart_count_90d,
       cast(r.email_opens_90d as double) / nullif(cast(r.emails_sent_90d as double), 0) as email_open_rate_90d,
       cast(r.email_clicks_90d as double) / nullif(cast(r.emails_sent_90d as double), 0) as email_click_rate_90d
from known as k
left join recent as r on r.customer_id = k.customer_id
left join visits as v on v.customer_id = k.customer_id
left join carts as c on c.customer_id = k.customer_id
left join customer_segment as s on s.customer_id = k.customer_id
left join customer_value as w on w.customer_id = k.customer_id
