-- explain_first_days: events of earlier days that moved a customer's first day away from this day, or to it, after this day had closed.
-- grain: customer   reads: touchpoint, order_current, customer_day, customer_first, ledger, ledger_offset
-- parameters: day, orders_topic, touchpoints_topic, limit
-- Told where the ledger has a change of this day without an event of its own. Such an event is late for its own day and was committed with that
-- change; it took the first day away where it lies on what is the first day now, and this day is the next; an order that ceased to count gave it to
-- this day. Deletions by tombstone are not found: when those were committed is not kept.
with change as (
    select l.reason, l.first_ingested_at, l.last_ingested_at, o.day, o.topic, o.partition, o.first_offset, o.last_offset
    from ledger as l join ledger_offset as o on o.reason = l.reason and o.ingestion_hour = l.ingestion_hour and o.day < l.day
    where l.day = cast($day as date) and l.late_new = 0 and l.late_update = 0
    union all
    select l.reason, l.first_ingested_at, l.last_ingested_at, o.day, topic, -1, -1, -1
    from ledger as l join ledger as o on o.reason = l.reason and o.ingestion_hour = l.ingestion_hour and o.day < l.day,
         (values ($orders_topic), ($touchpoints_topic)) as t(topic)
    where l.day = cast($day as date) and l.late_new = 0 and l.late_update = 0
),
event as (
    select day, ingested_at, occurred_at as event_time, 'touchpoint' as kind, event_type as what, event_id as id, customer_id, true as counted,
           $touchpoints_topic as topic, partition, "offset"
    from touchpoint semi join (from customer_day where day = cast($day as date)) as own using (customer_id)
    where day < cast($day as date) and ingested_at >= (select min(first_ingested_at) from change)
    union all
    select day, ingested_at, updated_at, 'order', status, order_id, customer_id, counted, $orders_topic, partition, "offset"
    from order_current semi join (from customer_day where day = cast($day as date)) as own using (customer_id)
    where day < cast($day as date) and ingested_at >= (select min(first_ingested_at) from change)
),
late as (
    select distinct e.*
    from event as e
    join change as c on c.day = e.day and c.topic = e.topic and c.partition = e.partition and e."offset" between c.first_offset and c.last_offset
                    and e.ingested_at between c.first_ingested_at and c.last_ingested_at
),
moved as (
    select l.*,
           case when not l.counted and l.what <> 'PLACED' and f.first_active_day = cast($day as date) then 1
                when l.counted and l.day = f.first_active_day and not exists (
                    select 1 from customer_day as c where c.customer_id = l.customer_id and c.day > l.day and c.day < cast($day as date)) then -1
                else 0 end as new_customers,
           case when l.kind = 'touchpoint' then 0
                when not l.counted and l.what <> 'PLACED' and f.first_order_day = cast($day as date) then 1
                when l.counted and l.day = f.first_order_day and not exists (
                    select 1 from customer_day as c where c.customer_id = l.customer_id and c.day > l.day and c.day < cast($day as date)
                    and c.orders + c.orders_other_currency > 0) then -1
                else 0 end as new_buyers
    from late as l join customer_first as f using (customer_id)
)
select ingested_at, day, customer_id, kind, what, id, topic, partition, "offset", event_time, new_customers, new_buyers, count(*) over () as found
from (
    from moved where new_customers <> 0 or new_buyers <> 0
    qualify row_number() over (partition by customer_id order by ingested_at, topic, partition, "offset") = 1
)
order by ingested_at desc, customer_id
limit $limit;
