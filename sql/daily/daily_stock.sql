-- daily_stock: readings of stock by day and product; the last is by (updated_at, stock_level).
-- grain: (day, product_id)   reads: batch_stock   writes: daily_stock
create or replace temp table delta_daily_stock as
select day, product_id, count(*) as readings, min(stock_level) as stock_min, max(stock_level) as stock_max, sum(stock_level) as stock_sum,
       max(updated_at) as last_updated_at, arg_max(stock_level, (updated_at, stock_level)) as stock_last
from batch_stock group by day, product_id;

merge into daily_stock as target
using delta_daily_stock as delta
on target.day = delta.day and target.product_id = delta.product_id
when matched then update set
    readings = target.readings + delta.readings,
    stock_min = least(target.stock_min, delta.stock_min), stock_max = greatest(target.stock_max, delta.stock_max),
    stock_sum = target.stock_sum + delta.stock_sum,
    stock_last = case when (delta.last_updated_at, delta.stock_last) > (target.last_updated_at, target.stock_last) then delta.stock_last else target.stock_last end,
    last_updated_at = greatest(target.last_updated_at, delta.last_updated_at)
when not matched then insert by name;
