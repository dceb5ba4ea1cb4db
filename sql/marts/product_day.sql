-- product_day: what the rows of a day say of a product that no daily table keeps: its category, and scores of reviews.
-- grain: (day, product_id)   reads: order_item, order_current, touchpoint
-- A review without a score is a review, but no part of a mean score.
/*
unit = "day"
kept_by = "day"
priority = 10
internal = true
[columns]
day = { about = "the day" }
product_id = { about = "the product" }
category = { about = "of the day's latest counted order item that has one, by (ordered_at, order_id, line)" }
subcategory = { about = "of the same item" }
scored_reviews = { about = "reviews that have a score" }
score_sum = { about = "the sum of their scores" }

[[audits]]
name = "scores are 1 to 5"
query = """
    select * from product_day where score_sum not between scored_reviews and 5 * scored_reviews
"""
*/
with item as (
    select i.day, i.product_id, arg_max(struct_pack(category := i.category, subcategory := i.subcategory),
                                        struct_pack(ordered_at := o.ordered_at, order_id := i.order_id, line := i.line)) as latest
    from order_item i join order_current o on o.day = i.day and o.order_id = i.order_id
    where o.counted and i.category is not null
    group by i.day, i.product_id
),
review as (
    select day, product_id, count(*) as scored_reviews, cast(sum(review_score) as bigint) as score_sum
    from touchpoint
    where event_type = 'review' and product_id is not null and review_score is not null
    group by day, product_id
)
select coalesce(i.day, r.day) as day, coalesce(i.product_id, r.product_id) as product_id, i.latest.category as category,
       i.latest.subcategory as subcategory, coalesce(r.scored_reviews, 0) as scored_reviews, coalesce(r.score_sum, 0) as score_sum
from item i
full outer join review r on r.day = i.day and r.product_id = i.product_id
