-- customer_day: its defining SELECT over the accepted rows of days that are not sealed; what verify, repair and rebuild compare and fill it with.
-- grain: (day, customer_id)   reads: touchpoint, order_current, file_setting
select day, customer_id,
       sum(touchpoints) as touchpoints, sum(page_views) as page_views, sum(product_views) as product_views, sum(cart_adds) as cart_adds,
       sum(checkout_starts) as checkout_starts, sum(purchases) as purchases, sum(ad_clicks) as ad_clicks,
       sum(emails_sent) as emails_sent, sum(email_opens) as email_opens, sum(email_clicks) as email_clicks,
       sum(orders) as orders, sum(orders_other_currency) as orders_other_currency, sum(units) as units, sum(net_cents) as net_cents
from (
    select day, customer_id, 1 as touchpoints, (event_type = 'page_view')::int as page_views, (event_type = 'product_view')::int as product_views,
           (event_type = 'cart_add')::int as cart_adds, (event_type = 'checkout_start')::int as checkout_starts, (event_type = 'purchase')::int as purchases,
           (event_type = 'ad_click')::int as ad_clicks, (event_type = 'email_sent')::int as emails_sent, (event_type = 'email_open')::int as email_opens,
           (event_type = 'email_click')::int as email_clicks, 0 as orders, 0 as orders_other_currency, 0 as units, 0 as net_cents
    from touchpoint where customer_id is not null
    union all
    select day, customer_id, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, (currency = reporting)::int, (currency <> reporting)::int,
           case when currency = reporting then units else 0 end, case when currency = reporting then net_cents else 0 end
    from order_current, (select value as reporting from file_setting where name = 'reporting_currency')
    where counted
)
group by day, customer_id
