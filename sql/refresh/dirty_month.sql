-- dirty_month: the months of the days in dirty_day, which then has all their days up to as_of.
-- grain: month   reads: dirty_day   writes: dirty_month, dirty_day   parameters: as_of
create or replace temp table dirty_month as select distinct cast(date_trunc('month', day) as date) as month from dirty_day;

create or replace temp table dirty_day as
select cast(unnest(generate_series(month, least(cast($as_of as date), cast(month + interval 1 month as date) - 1), interval 1 day)) as date) as day
from dirty_month;
