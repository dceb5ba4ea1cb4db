-- daily_product_activity: touchpoints with a product, by product.
-- grain: (day, product_id)   reads: batch_touchpoint   writes: delta_daily_product_activity, daily_product_activity
create or replace temp table delta_daily_product_activity as
select day, product_id, count(*) filter (where event_type = 'product_view') as views, count(*) filter (where event_type = 'cart_add') as cart_adds,
       count(*) filter (where event_type = 'review') as reviews, coalesce(sum(review_score) filter (where event_type = 'review'), 0) as review_score_sum,
       count(*) as touchpoints
from batch_touchpoint where product_id is not null group by day, product_id;

merge into daily_product_activity as target
using delta_daily_product_activity as delta
on target.day = delta.day and target.product_id = delta.product_id
when matched then update set
    views = target.views + delta.views, cart_adds = target.cart_adds + delta.cart_adds, reviews = target.reviews + delta.reviews,
    review_score_sum = target.review_score_sum + delta.review_score_sum, touchpoints = target.touchpoints + delta.touchpoints
when not matched then insert by name;
