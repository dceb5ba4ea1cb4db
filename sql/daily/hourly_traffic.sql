-- hourly_traffic: touchpoints by hour and event type.
-- grain: (day, hour, event_type)   reads: batch_touchpoint   writes: delta_hourly_traffic, hourly_traffic
create or replace temp table delta_hourly_traffic as
select day, hour, event_type, count(*) as touchpoints from batch_touchpoint group by day, hour, event_type;

merge into hourly_traffic as target
using delta_hourly_traffic as delta
on target.day = delta.day and target.hour = delta.hour and target.event_type = delta.event_type
when matched then update set touchpoints = target.touchpoints + delta.touchpoints
when not matched then insert by name;
