-- daily_sales: orders that count, by day, currency, segment, region and country, of the days that are handed over.
-- grain: (day, currency, customer_segment, region, country)   reads: staged_order, staged_tombstone
select o.day, o.currency, coalesce(o.customer_segment, '(none)') as customer_segment, coalesce(o.region, '(none)') as region,
       coalesce(o.country, '(none)') as country,
       count(*) as orders, count(distinct o.customer_id) as customers, cast(sum(o.units) as bigint) as units,
       cast(sum(o.gross_cents) as bigint) as gross_cents, cast(sum(o.discount_total_cents) as bigint) as discount_cents,
       cast(sum(o.tax_cents) as bigint) as tax_cents, cast(sum(o.shipping_cents) as bigint) as shipping_cents,
       cast(sum(o.refunded_cents) as bigint) as refunded_cents, cast(sum(o.net_cents) as bigint) as net_cents,
       cast(sum(o.cost_cents) as bigint) as cost_cents, cast(sum(o.units_without_cost) as bigint) as units_without_cost
from staged_order as o
left join staged_tombstone as t on t.order_id = o.order_id
where o.status in ('COMPLETED', 'REFUNDED') and (t.order_id is null or (o.updated_at, o."offset") > (t.updated_at, t."offset"))
group by all
