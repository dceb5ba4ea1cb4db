-- purchase_model: what the fits of the real purchases say, in the weeks and dollars of the papers.
-- grain: one row   reads: value_model_fit   parameters: calibrated
-- A density of times in days is 7 times less than one in weeks, once for each repeat purchase.
select c.customers, c.repeaters, c.order_days - c.customers as repeat_purchases, c.r, c.alpha / 7 as alpha, c.a, c.b,
       c.log_likelihood + ln(7) * (c.order_days - c.customers) as log_likelihood, c.p, c.q, c.v / 100 as v, h.holdout_expected, h.holdout_actual
from value_model_fit as c cross join (select * from value_model_fit order by as_of desc, fit_id desc limit 1) as h
where c.as_of = $calibrated;
