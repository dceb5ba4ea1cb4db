-- value_model_fit: every fit of the models of customer value, and how well it foretold the last holdout_days.
-- grain: (fit_id)   reads: customer_facts, customer_day, value_model_fit
-- parameters: value_model, min_repeaters, refit_share, holdout_days
-- Fitted anew where there is no fit yet, where the number of order days has changed by more than refit_share, or when asked (--refit).
-- A fit is written once: customer_value reads the last one that is not of a later day than its own.
/*
unit = "append"
function = "value_model_fit"
priority = 30
formula = "BG/NBD: Fader, Hardie, Lee 2005, eq. 6; MBG/NBD: Batislam, Denizel, Filiztekin 2007; Gamma-Gamma: Fader, Hardie 2013, eq. 1a. Maximum likelihood over log parameters. Orders of one day are one purchase; x repeat purchases, t_x days from the first to the last, T days from the first to as_of; customers of T = 0 say nothing and are left out."
limits = [
    "Gamma-Gamma is fitted on customers whose repeat purchases have a positive mean value; it takes value and frequency to be independent: frequency_value_correlation should be near 0.",
    "covariances are of the logarithms of the parameters, row by row.",
]
[columns]
fit_id = { type = "bigint", about = "counts up" }
as_of = { type = "date", about = "the day up to which it was fitted" }
reason = { type = "varchar", about = "first, changed (more than refit_share, or another model), asked" }
model = { type = "varchar", about = "bg_nbd or mbg_nbd" }
customers = { type = "bigint", about = "customers with an order" }
order_days = { type = "bigint", about = "their days with an order" }
repeaters = { type = "bigint", about = "customers with more than one order day" }
status = { type = "varchar", about = "of the model of purchases: converged, no_repeats, too_few_repeaters (under min_repeaters), no_optimum" }
r = { type = "double", about = "shape of the purchase rates' Gamma distribution; null where it did not converge, as all that follows" }
alpha = { type = "double", unit = "days", about = "its rate" }
a = { type = "double", about = "first parameter of the drop-out probabilities' Beta distribution" }
b = { type = "double", about = "the second one" }
log_likelihood = { type = "double", about = "sum over customers" }
covariance = { type = "double[]", about = "of log r, log alpha, log a, log b" }
valued_repeaters = { type = "bigint", about = "customers that the model of values was fitted on" }
value_status = { type = "varchar", about = "of the model of values; also infinite_mean where q is 1 or less" }
p = { type = "double", about = "shape of a customer's order values" }
q = { type = "double", about = "shape over customers" }
v = { type = "double", unit = "minor units", about = "its scale" }
value_log_likelihood = { type = "double", about = "sum over customers" }
value_covariance = { type = "double[]", about = "of log p, log q, log v" }
frequency_value_correlation = { type = "double", about = "of x and the mean value of repeat purchases, over valued_repeaters" }
holdout_days = { type = "integer", unit = "days", about = "how many last days were foretold by a fit on the days before" }
holdout_status = { type = "varchar", about = "of that fit" }
holdout_customers = { type = "bigint", about = "customers with an order before those days" }
holdout_expected = { type = "double", about = "order days foretold of them" }
holdout_actual = { type = "bigint", about = "order days that they had" }
holdout_error = { type = "double", unit = "fraction", about = "holdout_expected / holdout_actual - 1" }

[[audits]]
name = "parameters where it converged, and none elsewhere"
query = "select * from value_model_fit where (status = 'converged') <> (r > 0 and alpha > 0 and a > 0 and b > 0 and log_likelihood is not null) or (value_status = 'converged') <> (p > 0 and q > 1 and v > 0)"

[[audits]]
name = "value does not depend on frequency"
severity = "warning"
query = "select * from value_model_fit where abs(frequency_value_correlation) > 0.3"
remedy = "Order values and how often one buys go together, so expected_order_value is biased: judge model_value by group, or use the heuristic."

[[questions]]
ask = "How good is the last fit?"
sql = "select as_of, model, status, value_status, holdout_expected, holdout_actual, holdout_error, frequency_value_correlation from value_model_fit order by as_of desc, fit_id desc limit 1"
*/
with bought as (
    select count(*) as customers, cast(coalesce(sum(order_days), 0) as bigint) as order_days,
           count(*) filter (where order_days > 1) as repeaters
    from customer_facts where order_days > 0
),
last as (
    select order_days as last_order_days, model as last_model
    from value_model_fit where as_of <= $as_of
    qualify row_number() over (order by as_of desc, fit_id desc) = 1
)
select customers, order_days, repeaters, last_order_days, last_model, (select coalesce(max(fit_id), 0) + 1 from value_model_fit) as next_fit_id
from bought left join last on true
