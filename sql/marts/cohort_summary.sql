-- cohort_summary: retention by period number over all cohorts of a kind, pooled: customers of all of them over their sizes, not a mean of rates.
-- grain: (cohort_kind, cohort_name, period_kind, period_number)   reads: cohort_retention
/*
priority = 21
formula = "retention = sum of active_customers / sum of cohort_size, over complete cells"
[columns]
cohort_kind = { about = "first_order, sign_up, first_touch, or user" }
cohort_name = { about = "which of the user's own cohorts; empty for the other kinds" }
period_kind = { about = "week (ISO), month or quarter" }
period_number = { about = "whole periods since the cohort's own" }
cohorts = { about = "cohorts whose period of this number has ended" }
cohort_size = { unit = "customers", about = "their members" }
active_customers = { unit = "customers", about = "their members active in the period" }
retention = { unit = "fraction", about = "active_customers / cohort_size" }

[[audits]]
name = "pooled cells are the complete ones"
query = """
    select s.cohort_kind, s.cohort_name, s.period_kind, s.period_number
    from cohort_summary as s
    left join (
        select cohort_kind, cohort_name, period_kind, period_number, sum(cohort_size) as cohort_size, sum(active_customers) as active_customers
        from cohort_retention where is_complete group by cohort_kind, cohort_name, period_kind, period_number
    ) as c using (cohort_kind, cohort_name, period_kind, period_number)
    where s.cohort_size is distinct from c.cohort_size or s.active_customers is distinct from c.active_customers or s.retention not between 0 and 1
"""

[[questions]]
ask = "How many of the customers who first bought come back in the first months after?"
sql = "select period_number, retention, cohorts from cohort_summary where cohort_kind = 'first_order' and period_kind = 'month' order by period_number limit 12"
*/
select cohort_kind, cohort_name, period_kind, period_number, count(*) as cohorts, cast(sum(cohort_size) as bigint) as cohort_size,
       cast(sum(active_customers) as bigint) as active_customers, cast(sum(active_customers) as double) / cast(sum(cohort_size) as double) as retention
from cohort_retention where is_complete
group by cohort_kind, cohort_name, period_kind, period_number
