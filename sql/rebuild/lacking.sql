-- lacking: of which streams fewer events of a sealed day were read from files than its daily rows count: the files have not all of the day.
-- grain: stream   reads: held, rebuild_touchpoint, rebuild_order, read_range   parameters: day
select stream, held, found
from (
    select 'touchpoints' as stream, (select touchpoints from held) as held,
           (select count(*) from (select distinct event_uuid, event_text from rebuild_touchpoint where day = $day)) as found
    union all
    select 'orders', (select orders from held),
           (select count(distinct order_id) from rebuild_order where day = $day)
)
where found < held and (select count(*) from read_range) = 0
order by stream;
