-- explain_day: the state of one day, and how far the file has come.
-- grain: one row   reads: progress, file_setting, day_state, ledger   parameters: day
-- changed_at: the last commit that changed the day while it was open, closed it, or changed it since. first_remerge_at: the first one since.
select case when d.day is null then 'none' when d.is_open then 'open' when d.is_sealed then 'sealed' else 'closed' end as state,
       d.revision, d.closed_at, d.changed_at, l.first_remerge_at, l.last_remerge_at, coalesce(l.commits, 0) as commits,
       p.watermark, coalesce(cast($day as date) < p.closed_before, false) as is_past, coalesce(cast($day as date) < p.sealed_before, false) as is_past_retention,
       (select min(day) from day_state) as first_day, (select max(day) from day_state) as last_day,
       (select value from file_setting where name = 'reporting_time_zone') as reporting_time_zone,
       (select value from file_setting where name = 'reporting_currency') as reporting_currency
from progress as p
left join day_state as d on d.day = cast($day as date)
cross join (
    select min(first_ingested_at) as first_remerge_at, max(last_ingested_at) as last_remerge_at, sum(commits) as commits
    from ledger where day = cast($day as date)
) as l;
