-- progress: how far the file has come, as the refresh sees it, and the time zone of its days.
select p.committed_at, p.closed_before, p.sealed_before, (select coalesce(max(id), 0) from mart_dirty) as dirty_id,
       (select value from file_setting where name = 'reporting_time_zone') as reporting_time_zone
from progress as p;
