-- customer_day: key (day, customer_id), money in the reporting currency
select day, customer_id,
       sum(touchpoints) as touchpoints, sum(page_views) as page_views, sum(product_views) as product_views, sum(cart_adds) as cart_adds,
       sum(checkout_starts) as checkout_starts, sum(purchases) as purchases, sum(ad_clicks) as ad_clicks, sum(emails_sent) as emails_sent, sum(email_opens) as email_opens, sum(email_clicks) as email_clicks,
       sum(orders) as orders, sum(orders_other_currency) as orders_other_currency, sum(units) as units, sum(net_cents) as net_cents
from (select day, customer_id, 1 as touchpoints, (event_type = 'page_view')::int as page_views, (event_type = 'product_view')::int as product_views,
             (event_type = 'cart_add')::int as cart_adds, (event_type = 'checkout_start')::int as checkout_starts, (event_type = 'purchase')::int as purchases, (event_type = 'ad_click')::int as ad_clicks,
             (event_type = 'email_sent')::int as emails_sent, (event_type = 'email_open')::int as email_opens, (event_type = 'email_click')::int as email_clicks,
             0 as orders, 0 as orders_other_currency, 0 as units, 0 as net_cents
      from touchpoint where customer_id is not null
      union all
      select day, customer_id, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
             (currency = $reporting_currency)::int, (currency <> $reporting_currency)::int,
             case when currency = $reporting_currency then units else 0 end, case when currency = $reporting_currency then net_cents else 0 end
      from order_current where counted)
group by day, customer_id;
