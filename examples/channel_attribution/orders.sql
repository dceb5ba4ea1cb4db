-- orders: of PathData, beside touchpoints.sql, one for each conversion, a second after the journey's last click.
-- A path's first journeys are the converting ones; its value is shared out among them in cents, none lost.
with path as (
    select row_number() over () as number, len(string_split(path, ' > ')) as clicks, total_conversions as conversions,
           cast(round(total_conversion_value * 100) as bigint) as cents
    from read_csv(getvariable('archive') || '/Data.csv', delim = ';')
),
conversion as (
    select *, unnest(range(1, conversions + 1)) as journey from path
)
select number || '-' || journey as order_id, number || '-' || journey as customer_id,
       timestamp '2024-01-01' + number * interval 4 minutes + journey * interval 10 milliseconds + (clicks + 1) * interval 1 second as ordered_at,
       ordered_at as updated_at, 'COMPLETED' as status, 'USD' as currency,
       0 as discount_cents, 0 as tax_cents, 0 as shipping_cents, 0 as refunded_cents,
       [{
           'product_id': 'conversion', 'quantity': 1,
           'unit_price_cents': cents * journey // conversions - cents * (journey - 1) // conversions, 'discount_cents': 0
       }] as items
from conversion
order by number, journey;
