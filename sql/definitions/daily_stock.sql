-- daily_stock: its defining SELECT over the accepted rows of days that are not sealed; what verify, repair and rebuild compare and fill it with.
-- grain: (day, product_id)   reads: product_stock; dimensions are not sealed
select day, product_id, count(*) as readings, min(stock_level) as stock_min, max(stock_level) as stock_max, sum(stock_level) as stock_sum,
       arg_max(stock_level, (updated_at, stock_level)) as stock_last, max(updated_at) as last_updated_at
from product_stock group by all
