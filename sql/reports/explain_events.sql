-- explain_events: the touchpoints and order versions that came to a day after it had closed, newest first, and how many there are.
-- grain: event   reads: touchpoint, order_current, tombstone, day_state, ledger, ledger_offset, file_setting
-- parameters: day, orders_topic, touchpoints_topic, limit
-- A row is late where the ledger has its commit and its offset; rows of files have no offsets. When a tombstone was committed is not kept: those
-- are taken for late that are later than the watermark at closing. Of an order there is the last version alone.
with change as (
    select l.reason, l.first_ingested_at, l.last_ingested_at, o.topic, o.partition, o.first_offset, o.last_offset
    from ledger as l join ledger_offset as o on o.day = l.day and o.reason = l.reason and o.ingestion_hour = l.ingestion_hour
    where l.day = cast($day as date)
    union all
    select l.reason, l.first_ingested_at, l.last_ingested_at, topic, -1, -1, -1
    from ledger as l, (values ($orders_topic), ($touchpoints_topic)) as t(topic) where l.day = cast($day as date)
),
event as (
    select ingested_at, occurred_at as event_time, 'touchpoint' as kind, event_type as what, event_id as id, customer_id, channel,
           (select value from file_setting where name = 'reporting_currency') as currency, cost_cents as amount_cents, true as counted,
           $touchpoints_topic as topic, partition, "offset"
    from touchpoint where day = cast($day as date)
    union all
    select ingested_at, updated_at, 'order', status, order_id, customer_id, null, currency, net_cents, counted, $orders_topic, partition, "offset"
    from order_current where day = cast($day as date)
),
late as (
    select e.*, string_agg(distinct c.reason, ', ') as reason
    from event as e
    join change as c on c.topic = e.topic and c.partition = e.partition and e."offset" between c.first_offset and c.last_offset
                    and e.ingested_at between c.first_ingested_at and c.last_ingested_at
    group by all
),
deleted as (
    select null::timestamp as ingested_at, t.updated_at as event_time, 'tombstone' as kind, o.status as what, o.order_id as id, o.customer_id,
           null as channel, o.currency, o.net_cents as amount_cents, o.counted, $orders_topic as topic, t.partition, t."offset", null as reason
    from order_current as o
    join tombstone as t on t.stream = 'orders' and t.id = o.order_id
    join day_state as d on d.day = o.day
    where o.day = cast($day as date) and not o.counted and o.status in ('COMPLETED', 'REFUNDED') and t.updated_at >= d.closed_at
)
select *, count(*) over () as found
from (from late union all by name from deleted)
order by ingested_at desc nulls first, topic, partition, "offset" desc, id
limit $limit;
