-- user_cohort: your own cohorts; none, until a mart of this name in your directory of marts (marts.directory) takes its place.
-- grain: (cohort_name, customer_id)   reads: customer_first
-- Its unit is customer where only a customer's own events change a cohort, as here; else whole: then all of cohort_activity is computed each time.
/*
unit = "customer"
priority = 10
internal = true
[columns]
customer_id = { about = "the customer" }
cohort_name = { about = "what the cohorts are of, such as the first category bought" }
cohort_date = { about = "the day that the customer's periods are counted from" }
*/
select customer_id, '' as cohort_name, first_active_day as cohort_date from customer_first where first_active_day is null
