-- daily_stock: key (day, product_id), day of updated_at
select day, product_id, count(*) as readings, min(stock_level) as stock_min, max(stock_level) as stock_max, sum(stock_level) as stock_sum, arg_max(stock_level, (updated_at, stock_level)) as stock_last
from product_stock group by all;
