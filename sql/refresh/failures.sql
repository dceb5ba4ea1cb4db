-- failures: the scheduled refreshes of each mart that failed since it was last refreshed well.
select r.mart, r.version, r.as_of, count(*) as failures, max(r.started_at + to_microseconds(cast(r.seconds * 1000000 as bigint))) as last_failed_at
from mart_run as r
where r.state = 'failed' and r.trigger = 'schedule'
  and r.id > coalesce((select max(d.id) from mart_run as d where d.mart = r.mart and d.state = 'done'), 0)
group by r.mart, r.version, r.as_of;
