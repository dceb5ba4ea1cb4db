-- cohorts: of those who first bought in a period, the share that bought again in each of the next ones; periods that have ended.
-- grain: cohort_start   reads: cohort_retention   parameters: period_kind, periods
select cohort_start, cohort_size, list(retention order by period_number) filter (where period_number > 0) as retention
from cohort_retention
where cohort_kind = 'first_order' and period_kind = $period_kind and period_number <= $periods and is_complete
group by cohort_start, cohort_size
order by cohort_start;
