-- explain_changes: what changed a closed day, newest first, and how many there are: with the money by currency, and the offsets that did it.
-- grain: (reason, ingestion_hour)   reads: ledger, ledger_sales, ledger_offset   parameters: day, limit
-- offsets is empty where another day's event did it (a customer's first day moved), or rows of a file.
select l.ingestion_hour, l.reason, l.commits, l.late_new, l.late_update, l.touchpoints, l.orders, l.first_ingested_at, l.last_ingested_at,
       coalesce(s.sales, []) as sales, coalesce(o.offsets, []) as offsets, count(*) over () as found
from ledger as l
left join (
    select reason, ingestion_hour, list(struct_pack(currency, orders, gross_cents, discount_cents, refunded_cents, tax_cents, net_cents, cost_cents)
                                        order by currency) as sales
    from ledger_sales where day = cast($day as date) group by reason, ingestion_hour
) as s on s.reason = l.reason and s.ingestion_hour = l.ingestion_hour
left join (
    select reason, ingestion_hour, list(struct_pack(topic, partition, first_offset, last_offset) order by topic, partition) as offsets
    from ledger_offset where day = cast($day as date) group by reason, ingestion_hour
) as o on o.reason = l.reason and o.ingestion_hour = l.ingestion_hour
where l.day = cast($day as date)
order by l.ingestion_hour desc, l.reason
limit $limit;
