-- touchpoints: of PathData (Data.csv of the package ChannelAttribution), each path as often as it was taken, each time by another customer.
-- The file has no moments: path n begins n * 4 minutes after January begins, each journey on it 10 ms after the one before, a click a second.
with path as (
    select row_number() over () as number, string_split(path, ' > ') as channels, total_conversions as converting, total_null as others
    from read_csv(getvariable('archive') || '/Data.csv', delim = ';')
),
journey as (
    select number, channels, unnest(range(1, converting + others + 1)) as journey from path
),
click as (
    select number, journey, unnest(channels) as channel, unnest(range(1, len(channels) + 1)) as place from journey
)
select number || '-' || journey || '-' || place as event_id, number || '-' || journey as customer_id, number || '-' || journey as session_id,
       timestamp '2024-01-01' + number * interval 4 minutes + journey * interval 10 milliseconds + place * interval 1 second as occurred_at,
       'ad_click' as event_type, channel
from click
order by number, journey, place;
