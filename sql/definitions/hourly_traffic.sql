-- hourly_traffic: its defining SELECT over the accepted rows of days that are not sealed; what verify, repair and rebuild compare and fill it with.
-- grain: (day, hour, event_type)   reads: touchpoint
select day, hour, event_type, count(*) as touchpoints from touchpoint group by all
