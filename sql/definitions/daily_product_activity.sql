-- daily_product_activity: its defining SELECT over the accepted rows of days that are not sealed; what verify, repair and rebuild compare and fill it with.
-- grain: (day, product_id)   reads: touchpoint
select day, product_id, count(*) filter (where event_type = 'product_view') as views, count(*) filter (where event_type = 'cart_add') as cart_adds,
       count(*) filter (where event_type = 'review') as reviews, coalesce(sum(review_score) filter (where event_type = 'review'), 0) as review_score_sum,
       count(*) as touchpoints
from touchpoint where product_id is not null group by all
