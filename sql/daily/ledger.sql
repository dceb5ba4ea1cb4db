-- ledger: what changed in closed days, by the reason and the hour of ingestion; with it the offsets that did it and the money by currency.
-- grain: (day, reason, ingestion_hour)   reads: changed_day, batch_day, batch_offset, sales_change   writes: ledger, ledger_offset, ledger_sales
-- parameters: origin, ingested_at
merge into ledger as target
using (
    select c.day, coalesce(b.new_rows, 0) as late_new, coalesce(b.updates, 0) as late_update, coalesce(b.touchpoints, 0) as touchpoints,
           coalesce(b.orders, 0) as orders
    from changed_day as c left join batch_day as b on b.day = c.day
) as delta
on target.day = delta.day and target.reason = $origin and target.ingestion_hour = date_trunc('hour', cast($ingested_at as timestamp))
when matched then update set
    commits = target.commits + 1, late_new = target.late_new + delta.late_new, late_update = target.late_update + delta.late_update,
    touchpoints = target.touchpoints + delta.touchpoints, orders = target.orders + delta.orders, last_ingested_at = $ingested_at
when not matched then insert (
    day, reason, ingestion_hour, commits, late_new, late_update, touchpoints, orders, first_ingested_at, last_ingested_at
) values (
    delta.day, $origin, date_trunc('hour', cast($ingested_at as timestamp)), 1, delta.late_new, delta.late_update, delta.touchpoints, delta.orders,
    $ingested_at, $ingested_at
);

merge into ledger_offset as target
using (select b.* from batch_offset as b semi join changed_day as c on b.day = c.day where b.partition >= 0) as delta
on target.day = delta.day and target.reason = $origin and target.ingestion_hour = date_trunc('hour', cast($ingested_at as timestamp))
   and target.topic = delta.topic and target.partition = delta.partition
when matched then update set
    first_offset = least(target.first_offset, delta.first_offset), last_offset = greatest(target.last_offset, delta.last_offset)
when not matched then insert (day, reason, ingestion_hour, topic, partition, first_offset, last_offset) values (
    delta.day, $origin, date_trunc('hour', cast($ingested_at as timestamp)), delta.topic, delta.partition, delta.first_offset, delta.last_offset
);

merge into ledger_sales as target
using sales_change as delta
on target.day = delta.day and target.reason = $origin and target.ingestion_hour = date_trunc('hour', cast($ingested_at as timestamp))
   and target.currency = delta.currency
when matched then update set
    orders = target.orders + delta.orders, gross_cents = target.gross_cents + delta.gross_cents,
    discount_cents = target.discount_cents + delta.discount_cents, refunded_cents = target.refunded_cents + delta.refunded_cents,
    tax_cents = target.tax_cents + delta.tax_cents, net_cents = target.net_cents + delta.net_cents, cost_cents = target.cost_cents + delta.cost_cents
when not matched then insert (
    day, reason, ingestion_hour, currency, orders, gross_cents, discount_cents, refunded_cents, tax_cents, net_cents, cost_cents
) values (
    delta.day, $origin, date_trunc('hour', cast($ingested_at as timestamp)), delta.currency, delta.orders, delta.gross_cents, delta.discount_cents,
    delta.refunded_cents, delta.tax_cents, delta.net_cents, delta.cost_cents
);
