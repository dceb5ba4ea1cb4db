-- fit: the last one that is not of a later day.
select fit_id, model, status, r, alpha, a, b, covariance, value_status, p, q, v, value_covariance
from value_model_fit where as_of <= $as_of
qualify row_number() over (order by as_of desc, fit_id desc) = 1
