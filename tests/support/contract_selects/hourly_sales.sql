-- hourly_sales: key (day, hour, currency), hour of ordered_at
select day, hour, currency, count(*) as orders, sum(net_cents) as net_cents from order_current where counted group by all;
