-- last_fit: the last fit of the models of customer value, and how well it foretold what came.
-- grain: one row   reads: value_model_fit
select as_of, customers, repeaters, status, value_status, holdout_days, holdout_expected, holdout_actual from value_model_fit
order by as_of desc, fit_id desc
limit 1;
