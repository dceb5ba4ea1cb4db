-- explain_first_days: events of earlier days that moved a customer's first day away from this day, or to it, after this day had closed.
-- grain: (customer, day)   reads: touchpoint, order_current, customer_day, customer_first, ledger, ledger_offset
-- parameters: day, orders_topic, touchpoints_topic, limit
-- Told where the ledger has a change of this day without an event of its own. Such an event is late for its own day, and was committed with that
-- change. It took the first day away where it was the customer's first event on what is the first day now, and this day is the next one; an order
-- that ceased to count gave the first day to this one. Deletions by tombstone are not found: when those were committed is not kept.
with lone as (
    select reason, ingestion_hour, first_ingested_at, last_ingested_at from ledger
    where day = cast($day as date) and late_new = 0 and late_update = 0
),
change as (
    select l.first_ingested_at, l.last_ingested_at, o.day, o.topic, o.partition, o.first_offset, o.last_offset
    from lone as l join ledger_offset as o on o.reason = l.reason and o.ingestion_hour = l.ingestion_hour and o.day < cast($day as date)
    union all
    select l.first_ingested_at, l.last_ingested_at, o.day, topic, -1, -1, -1
    from lone as l join ledger as o on o.reason = l.reason and o.ingestion_hour = l.ingestion_hour and o.day < cast($day as date),
         (values ($orders_topic), ($touchpoints_topic)) as t(topic)
),
event as (
    select day, ingested_at, occurred_at as event_time, 'touchpoint' as kind, event_type as what, event_id as id, customer_id, true as counted,
           $touchpoints_topic as topic, partition, "offset"
    from touchpoint
    where day in (select day from change) and customer_id in (select customer_id from customer_day where day = cast($day as date))
    union all
    select day, ingested_at, updated_at, 'order', status, order_id, customer_id, counted, $orders_topic, partition, "offset"
    from order_current
    where day in (select day from change) and customer_id in (select customer_id from customer_day where day = cast($day as date))
),
late as (
    select distinct e.*
    from event as e
    join change as c on c.day = e.day and c.topic = e.topic and c.partition = e.partition and e."offset" between c.first_offset and c.last_offset
                    and e.ingested_at between c.first_ingested_at and c.last_ingested_at
),
moved as (
    select l.*, f.first_active_day, f.first_order_day,
           exists (select 1 from event as e where e.customer_id = l.customer_id and e.day = l.day and e.counted
                                              and e.ingested_at < l.ingested_at) as was_active,
           exists (select 1 from event as e where e.customer_id = l.customer_id and e.day = l.day and e.counted and e.kind = 'order'
                                              and e.ingested_at < l.ingested_at) as had_ordered,
           exists (select 1 from customer_day as c where c.customer_id = l.customer_id
                                                     and c.day > l.day and c.day < cast($day as date)) as is_active_between,
           exists (select 1 from customer_day as c where c.customer_id = l.customer_id and c.day > l.day and c.day < cast($day as date)
                                                     and c.orders + c.orders_other_currency > 0) as orders_between
    from late as l join customer_first as f using (customer_id)
),
told as (
    select *,
           case when counted and day = first_active_day and not was_active and not is_active_between then -1
                when not counted and what <> 'PLACED' and first_active_day = cast($day as date) then 1
                else 0 end as new_customers,
           case when kind = 'touchpoint' then 0
                when counted and day = first_order_day and not had_ordered and not orders_between then -1
                when not counted and what <> 'PLACED' and first_order_day = cast($day as date) then 1
                else 0 end as new_buyers
    from moved
)
select ingested_at, day, customer_id, kind, what, id, topic, partition, "offset", event_time, new_customers, new_buyers, count(*) over () as found
from (
    from told where new_customers <> 0 or new_buyers <> 0
    qualify row_number() over (partition by customer_id, day order by new_buyers = 0, ingested_at, topic, partition, "offset") = 1
)
order by ingested_at desc, customer_id, day
limit $limit;
