-- customer_value: what each customer with an order is worth, by rules that are widely used and by a model that is fitted.
-- grain: (customer_id)   reads: customer_facts, value_model_fit
-- parameters: recency_limits, recency_multipliers, churn_probabilities, discount_rate, value_months, value_years, confidence_limits
-- Orders and money: reporting currency. For the model, orders of one day are one purchase.
/*
unit = "customer"
ages = true
function = "customer_value"
priority = 31
formula = "monthly_value = monthly_frequency * avg_order_value * recency_multiplier; lifetime_months = -ln(churn_probability) / ln(1 + i), heuristic_value = monthly_value * (1 - (1 + i)^-lifetime_months) / i, with i = discount_rate / 12. model_value = sum over months k of (E[Y(k)] - E[Y(k - 1)]) * expected_order_value / (1 + i)^k, a month being 365 / 12 days; E[Y] and p_alive: BG/NBD or MBG/NBD (value_model_fit), expected_order_value: Gamma-Gamma (Fader, Hardie 2013, eq. 5)."
limits = [
    "With the default probabilities every lifetime is over 12 months, so the cap of heuristic_value_12m always binds.",
    "The heuristic counts what was bought at the rate since the first order: customers of a few days have high rates.",
    "The interval holds the uncertainty of the parameters alone, by the delta method on log value; what a customer does varies far more.",
]
[columns]
customer_id = { about = "the customer" }
avg_order_value = { unit = "minor units", about = "net of counted orders / their number" }
monthly_frequency = { about = "orders * 30 / days from the first order to as_of; 0 where that is 0" }
recency_multiplier = { about = "by days since the last order: recency_multipliers of the first of recency_limits not below it, else the last" }
churn_probability = { unit = "fraction", about = "by days since the last order, as recency_multiplier" }
monthly_value = { unit = "minor units", about = "see formula" }
lifetime_months = { unit = "months", about = "see formula" }
heuristic_value = { unit = "minor units", about = "see formula" }
heuristic_value_12m = { unit = "minor units", about = "the same with a lifetime of at most value_months" }
confidence = { about = "high, medium, low: churn_probability below the first of confidence_limits, the second, or not" }
value_3y = { unit = "minor units", about = "net of counted orders / days from the first to the last * 365 * value_years; null where that is 0 days" }
value_3y_status = { about = "ok, or single_day" }
value_quartile = { about = "Low, Medium, High, Very High Value: quartile of value_3y among those who have one", tile = { of = "value_3y", parts = 4, labels = ["Low Value", "Medium Value", "High Value", "Very High Value"] } }
p_alive = { unit = "fraction", about = "the probability that the customer has not dropped out" }
expected_orders = { about = "order days expected within value_months" }
expected_order_value = { unit = "minor units", about = "expected net of one of them" }
model_value = { unit = "minor units", about = "see formula" }
model_value_low = { unit = "minor units", about = "lower end of its 90 % interval" }
model_value_high = { unit = "minor units", about = "upper end" }
model_status = { about = "ok; first_day: first ordered on as_of, so nothing is known yet; value_not_positive: repeat orders that sum to 0 or less; else why the fit has no parameters (value_model_fit.status; value_ and value_status for the values'). Columns that can't be computed are null" }
fit_id = { about = "the fit that it was computed with" }

[[audits]]
name = "model columns where the status is ok"
query = "select * from customer_value where (model_status = 'ok') <> (model_value is not null) or (model_value is not null) <> (expected_order_value is not null)"

[[audits]]
name = "probabilities and intervals"
query = "select * from customer_value where p_alive not between 0 and 1 or expected_orders < 0 or model_value not between model_value_low and model_value_high or isnan(model_value)"

[[audits]]
name = "rows are the customers who ordered"
query = """
    select coalesce(v.customer_id, f.customer_id) as customer_id, f.orders
    from customer_value as v full join customer_facts as f on f.customer_id = v.customer_id
    where (v.customer_id is not null) <> coalesce(f.orders > 0, false)
"""

[[audits]]
name = "classes are those that there are"
query = """
    select * from customer_value
    where confidence not in ('high', 'medium', 'low') or value_3y_status not in ('ok', 'single_day') or churn_probability not between 0 and 1
       or value_quartile not in ('Low Value', 'Medium Value', 'High Value', 'Very High Value') or (value_3y is null) <> (value_quartile is null)
"""

[[audits]]
name = "a capped lifetime is worth no more"
query = """
    select * from customer_value where abs(heuristic_value_12m) > abs(heuristic_value) * (1 + 1e-9)
"""

[[questions]]
ask = "Whom will we miss most if they do not come back?"
sql = "select customer_id, p_alive, model_value, model_value_low, model_value_high from customer_value where p_alive < 0.5 order by model_value desc nulls last, customer_id limit 20"

[[questions]]
ask = "What do rules and model say of all customers together?"
sql = "select model_status, count(*) as customers, sum(heuristic_value_12m) as heuristic_value, sum(model_value) as model_value from customer_value group by model_status order by model_status"
*/
with bought as (
    select customer_id, cast(orders as double) as orders, cast(net_cents as double) as net_cents,
           date_diff('day', first_order_day, $as_of) as first_days, date_diff('day', last_order_day, $as_of) as last_days,
           date_diff('day', first_order_day, last_order_day) as between_days, order_days - 1 as repeats,
           cast(net_cents - first_day_net_cents as double) as repeat_cents
    from customer_facts where order_days > 0
),
placed as (
    select *,
           case when last_days <= $recency_limits[1] then 1 when last_days <= $recency_limits[2] then 2
                when last_days <= $recency_limits[3] then 3 when last_days <= $recency_limits[4] then 4 else 5 end as place,
           cast($discount_rate as double) / 12 as monthly_rate
    from bought
),
rated as (
    select *, net_cents / orders as avg_order_value, coalesce(orders * 30 / nullif(first_days, 0), 0) as monthly_frequency,
           cast(case place when 1 then $recency_multipliers[1] when 2 then $recency_multipliers[2] when 3 then $recency_multipliers[3]
                           when 4 then $recency_multipliers[4] else $recency_multipliers[5] end as double) as recency_multiplier,
           cast(case place when 1 then $churn_probabilities[1] when 2 then $churn_probabilities[2] when 3 then $churn_probabilities[3]
                           when 4 then $churn_probabilities[4] else $churn_probabilities[5] end as double) as churn_probability,
           net_cents / nullif(between_days, 0) * 365 * $value_years as value_3y
    from placed
),
lasting as (
    select *, monthly_frequency * avg_order_value * recency_multiplier as monthly_value,
           -ln(churn_probability) / ln(1 + monthly_rate) as lifetime_months
    from rated
)
select customer_id, avg_order_value, monthly_frequency, recency_multiplier, churn_probability, monthly_value, lifetime_months,
       monthly_value * (1 - power(1 + monthly_rate, -lifetime_months)) / monthly_rate as heuristic_value,
       monthly_value * (1 - power(1 + monthly_rate, -least(lifetime_months, cast($value_months as double)))) / monthly_rate as heuristic_value_12m,
       case when churn_probability < $confidence_limits[1] then 'high' when churn_probability < $confidence_limits[2] then 'medium' else 'low' end
           as confidence,
       value_3y, case when value_3y is null then 'single_day' else 'ok' end as value_3y_status,
       cast(repeats as double) as x, cast(between_days as double) as t_x, cast(first_days as double) as age,
       repeat_cents / nullif(repeats, 0) as mean_value
from lasting
