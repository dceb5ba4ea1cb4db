-- daily_product_activity: key (day, product_id)
select day, product_id, count(*) filter (where event_type = 'product_view') as views, count(*) filter (where event_type = 'cart_add') as cart_adds,
       count(*) filter (where event_type = 'review') as reviews, coalesce(sum(review_score) filter (where event_type = 'review'), 0) as review_score_sum
from touchpoint where product_id is not null group by all;
