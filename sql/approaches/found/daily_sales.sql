-- daily_sales: its rows that this commit changed, as though new ones had been there before.
-- reads: daily_sales, delta_daily_sales
select t.*
from daily_sales as t
semi join delta_daily_sales as d
on d.day = t.day and d.currency = t.currency and d.customer_segment = t.customer_segment and d.region = t.region and d.country = t.country
