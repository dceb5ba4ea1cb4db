-- hourly_sales: its defining SELECT over the accepted rows of days that are not sealed; what verify, repair and rebuild compare and fill it with.
-- grain: (day, hour, currency)   reads: order_current
select day, hour, currency, count(*) as orders, sum(net_cents) as net_cents from order_current where counted group by all
