-- customer_features: the numbers of customer_overview, a row each, as models take them.
-- grain: (customer_id)   reads: customer_overview
/*
unit = "view"
priority = 41
limits = ["A null is a ratio without a divisor, or a time since something that never was."]
[columns]
customer_id = { about = "the customer" }
customer_age_days = { unit = "days", about = "from the day of sign-up, or of the first activity if that is earlier, to as_of" }
order_count = { about = "counted orders" }
total_spend = { unit = "minor units", about = "net of counted orders" }
avg_order_value = { unit = "minor units", about = "total_spend / order_count" }
days_since_last_order = { unit = "days", about = "from the last order's day to as_of" }
purchase_frequency_days = { unit = "days", about = "mean time between orders; null below two orders" }
lifetime_days = { unit = "days", about = "from the first order's day to the last one's" }
items = { about = "pieces ordered" }
categories = { about = "distinct categories of the items ordered" }
orders_other_currency = { about = "counted orders of other currencies, which the other columns leave out" }
website_visits = { about = "sessions whose customer this is" }
product_views = { about = "product_view events" }
cart_additions = { about = "cart_add events" }
purchases = { about = "purchase events" }
abandoned_cart_count = { about = "sessions with a cart_add, without a purchase event, and no counted order until abandoned_after_hours after their end, which as_of has passed" }
pending_cart_count = { about = "such sessions for which that time is not over" }
email_open_rate = { unit = "fraction", about = "e-mails opened / sent; null without any sent" }
email_click_rate = { unit = "fraction", about = "e-mails clicked / sent; null without any sent" }
rfm_score = { about = "customer_segment.rfm_score" }
churn_probability = { unit = "fraction", about = "customer_value.churn_probability" }
heuristic_value_12m = { unit = "minor units", about = "customer_value.heuristic_value_12m" }
value_3y = { unit = "minor units", about = "customer_value.value_3y" }
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
name = "a row for each customer of the overview"
query = """
    select coalesce(f.customer_id, o.customer_id) as customer_id
    from customer_features as f full join customer_overview as o on o.customer_id = f.customer_id
    where f.customer_id is null or o.customer_id is null
"""

[[questions]]
ask = "Which habits go with a high spend?"
sql = "select count(*) as customers, corr(cast(total_spend as double), website_visits) as visits, corr(cast(total_spend as double), product_views) as product_views, corr(cast(total_spend as double), email_open_rate) as email_open_rate, corr(cast(total_spend as double), days_since_last_order) as days_since_last_order from customer_features where order_count > 0"
*/
select customer_id, customer_age_days, order_count, total_spend, avg_order_value, days_since_last_order, purchase_frequency_days,
       lifetime_days, items, categories, orders_other_currency, website_visits, product_views, cart_additions, purchases,
       abandoned_cart_count, pending_cart_count, email_open_rate, email_click_rate, rfm_score, churn_probability, heuristic_value_12m, value_3y,
       p_alive, expected_orders, model_value, order_count_30d, total_spend_30d, website_visits_30d,
       product_views_30d, cart_additions_30d, purchases_30d, abandoned_cart_count_30d, email_open_rate_30d, email_click_rate_30d,
       order_count_90d, total_spend_90d, website_visits_90d, product_views_90d, cart_additions_90d, purchases_90d, abandoned_cart_count_90d,
       email_open_rate_90d, email_click_rate_90d
from customer_overview
