-- hourly_traffic: key (day, hour, event_type)
select day, hour, event_type, count(*) as touchpoints from touchpoint group by all;
