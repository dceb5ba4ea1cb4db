-- touchpoint: the accepted touchpoints of the batch, in the order of their days.
-- grain: (day, event_id)   reads: batch_touchpoint   writes: touchpoint   parameters: ingested_at
insert into touchpoint by name
select day, hour, event_uuid, event_text, customer_id, session_id, occurred_at, event_type, channel, campaign, product_id, device,
       cost_cents, review_score, page_type, browser, partition, "offset", $ingested_at as ingested_at
from batch_touchpoint;
