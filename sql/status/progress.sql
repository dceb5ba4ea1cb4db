-- progress: how far the file has come, and what is fixed in it.
-- grain: one row   reads: progress, file_setting
select committed_at, watermark,
       (select value from file_setting where name = 'reporting_time_zone') as reporting_time_zone,
       (select value from file_setting where name = 'reporting_currency') as reporting_currency
from progress;
