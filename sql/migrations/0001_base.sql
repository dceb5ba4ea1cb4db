-- 0001_base: the tables of a new file.
-- Rows of events, the aggregates over them (docs/tables.md says what each means), and the record of how they came about.
-- No primary keys and no secondary indexes: they cost memory and leak on update; the merges keep keys unique and `tidemark verify` checks it.

-- What is fixed when the file is created: reporting_time_zone, reporting_currency, created_at, file_id, tidemark_version.
create table file_setting (name varchar not null, value varchar not null);

-- One row: how far the file has come. closed_before: days before it are closed; sealed_before: days before it are sealed.
create table progress (
    commit_id bigint not null, committed_at timestamp, cluster_id varchar,
    watermark timestamp, closed_before date, sealed_before date
);

-- The first offset not yet committed, per partition.
create table position (
    topic varchar not null, partition integer not null, topic_id varchar not null,
    next_offset bigint not null, leader_epoch integer
);

-- The greatest event time seen, per partition of the topics that move the watermark.
create table newest_event (topic varchar not null, partition integer not null, event_time timestamp not null);

-- read = accepted + duplicate + superseded + rejected + expired; conflicting_duplicates are those duplicates whose content differs.
create table accounting (
    origin varchar not null, stream varchar not null, read bigint not null,
    accepted bigint not null, duplicate bigint not null, superseded bigint not null, rejected bigint not null, expired bigint not null,
    conflicting_duplicates bigint not null
);

-- Which tables are switched on, as of the last start.
create table table_switch (name varchar not null, is_on boolean not null);

-- The touchpoints accepted, in order of arrival. event_uuid and event_text are the id (see worker/events.py); event_id is its text.
create table touchpoint (
    day date not null, hour tinyint not null, event_uuid uuid not null, event_text varchar,
    customer_id varchar, session_id varchar not null, occurred_at timestamp not null, event_type varchar not null, channel varchar not null,
    campaign varchar, product_id varchar, device varchar, cost_cents bigint, review_score tinyint, page_type varchar, browser varchar,
    partition integer not null, "offset" bigint not null, ingested_at timestamp not null,
    event_id varchar generated always as (coalesce(event_text, cast(event_uuid as varchar))) virtual
);

-- The greatest version of each order by (day, order_id). counted: its status counts and no tombstone is greater.
create table order_current (
    day date not null, hour tinyint not null, order_id varchar not null, customer_id varchar not null,
    ordered_at timestamp not null, updated_at timestamp not null, status varchar not null, currency varchar not null,
    customer_segment varchar, region varchar, country varchar, state varchar, city varchar,
    discount_cents bigint not null, tax_cents bigint not null, shipping_cents bigint not null, refunded_cents bigint not null,
    items struct(product_id varchar, category varchar, subcategory varchar, quantity integer, unit_price_cents bigint, discount_cents bigint, unit_cost_cents bigint)[] not null,
    units bigint not null, gross_cents bigint not null, discount_total_cents bigint not null, net_cents bigint not null,
    cost_cents bigint not null, units_without_cost bigint not null,
    counted boolean not null, partition integer not null, "offset" bigint not null, ingested_at timestamp not null
);

-- The lines of each order_current row, from 1.
create view order_item as
select day, order_id, line, item.product_id, item.category, item.subcategory, item.quantity, item.unit_price_cents, item.discount_cents, item.unit_cost_cents
from (select day, order_id, generate_subscripts(items, 1) as line, unnest(items) as item from order_current);

-- The greatest tombstone of each order, customer and product, for ever.
create table tombstone (stream varchar not null, id varchar not null, updated_at timestamp not null, partition integer not null, "offset" bigint not null);
create view order_tombstone as select id as order_id, updated_at, "offset", partition from tombstone where stream = 'orders';

create table customer (
    customer_id varchar not null, customer_unique_id varchar, name varchar, email varchar, city varchar, state varchar, country varchar,
    signed_up_at timestamp, updated_at timestamp not null, partition integer not null, "offset" bigint not null
);

create table product (
    product_id varchar not null, name varchar, category varchar, subcategory varchar, unit_cost_cents bigint, stock_level bigint,
    updated_at timestamp not null, partition integer not null, "offset" bigint not null
);

create table product_stock (day date not null, product_id varchar not null, updated_at timestamp not null, stock_level bigint not null);

-- Keyed tables: exact distinct counts, kept incrementally.
create table customer_day (
    day date not null, customer_id varchar not null,
    touchpoints bigint not null, page_views bigint not null, product_views bigint not null, cart_adds bigint not null,
    checkout_starts bigint not null, purchases bigint not null, ad_clicks bigint not null,
    emails_sent bigint not null, email_opens bigint not null, email_clicks bigint not null,
    orders bigint not null, orders_other_currency bigint not null, units bigint not null, net_cents hugeint not null
);
create table customer_channel_day (
    day date not null, channel varchar not null, customer_id varchar not null, touchpoints bigint not null, cost_cents hugeint not null
);
create table customer_sales_day (
    day date not null, currency varchar not null, customer_segment varchar not null, region varchar not null, country varchar not null,
    customer_id varchar not null, orders bigint not null, units bigint not null, net_cents hugeint not null
);
-- The columns from entry_event_id on are what a later touchpoint is compared with.
create table session_day (
    day date not null, session_id varchar not null, customer_id varchar, entry_channel varchar not null,
    started_at timestamp not null, ended_at timestamp not null,
    touchpoints bigint not null, page_views bigint not null, product_views bigint not null, cart_adds bigint not null,
    checkout_starts bigint not null, purchases bigint not null,
    entry_event_id varchar not null, customer_event_at timestamp, customer_event_id varchar
);
create table customer_first (customer_id varchar not null, first_active_day date not null, first_touch_day date, first_order_day date);

-- Daily tables.
create table daily_sales (
    day date not null, currency varchar not null, customer_segment varchar not null, region varchar not null, country varchar not null,
    orders bigint not null, customers bigint not null, units bigint not null, gross_cents hugeint not null, discount_cents hugeint not null,
    tax_cents hugeint not null, shipping_cents hugeint not null, refunded_cents hugeint not null, net_cents hugeint not null,
    cost_cents hugeint not null, units_without_cost bigint not null
);
create table daily_region (
    day date not null, currency varchar not null, region varchar not null, country varchar not null, state varchar not null, city varchar not null,
    orders bigint not null, units bigint not null, net_cents hugeint not null
);
create table hourly_sales (day date not null, hour tinyint not null, currency varchar not null, orders bigint not null, net_cents hugeint not null);
create table daily_category (
    day date not null, currency varchar not null, category varchar not null, subcategory varchar not null,
    orders bigint not null, units bigint not null, gross_cents hugeint not null, sales_cents hugeint not null, cost_cents hugeint not null
);
create table daily_product_sales (
    day date not null, currency varchar not null, product_id varchar not null,
    orders bigint not null, units bigint not null, gross_cents hugeint not null, sales_cents hugeint not null, cost_cents hugeint not null
);
create table daily_product_activity (
    day date not null, product_id varchar not null, views bigint not null, cart_adds bigint not null, reviews bigint not null, review_score_sum bigint not null,
    touchpoints bigint not null
);
create table daily_stock (
    day date not null, product_id varchar not null, readings bigint not null, stock_min bigint not null, stock_max bigint not null,
    stock_sum hugeint not null, stock_last bigint not null, last_updated_at timestamp not null
);
create table daily_channel (
    day date not null, channel varchar not null, campaign varchar not null,
    touchpoints bigint not null, impressions bigint not null, clicks bigint not null, cost_cents hugeint not null
);
create table daily_reach (day date not null, channel varchar not null, touchpoints bigint not null, customers bigint not null, cost_cents hugeint not null);
create table hourly_traffic (day date not null, hour tinyint not null, event_type varchar not null, touchpoints bigint not null);
create table daily_users (day date not null, active_customers bigint not null, buyers bigint not null, new_customers bigint not null, new_buyers bigint not null);
create table daily_sessions (
    day date not null, entry_channel varchar not null, sessions bigint not null, with_page_view bigint not null, with_product_view bigint not null,
    with_cart_add bigint not null, with_checkout_start bigint not null, with_purchase bigint not null
);

-- Days and their ledger. revision: null while open, 1 at closing, one more with each commit that changes a daily row of the closed day.
create table day_state (
    day date not null, is_open boolean not null, is_sealed boolean not null, revision bigint,
    closed_at timestamp, changed_at timestamp not null
);
create table day_checksum (day date not null, table_name varchar not null, row_count bigint not null, checksum varchar not null);
create table day_offset (
    day date not null, topic varchar not null, topic_id varchar not null, partition integer not null,
    first_offset bigint not null, last_offset bigint not null, rows bigint not null
);
create table ledger (
    day date not null, reason varchar not null, ingestion_hour timestamp not null,
    commits bigint not null, late_new bigint not null, late_update bigint not null, touchpoints bigint not null, orders bigint not null,
    first_ingested_at timestamp not null, last_ingested_at timestamp not null
);
create table ledger_offset (
    day date not null, reason varchar not null, ingestion_hour timestamp not null, topic varchar not null, partition integer not null,
    first_offset bigint not null, last_offset bigint not null
);
create table ledger_sales (
    day date not null, reason varchar not null, ingestion_hour timestamp not null, currency varchar not null,
    orders bigint not null, gross_cents hugeint not null, discount_cents hugeint not null, refunded_cents hugeint not null,
    tax_cents hugeint not null, net_cents hugeint not null, cost_cents hugeint not null
);

-- Messages that are kept with their bytes. Each row is unique by its origin: (topic, topic_id, partition, offset) or (file, file_row).
-- is_pending: still to be sent to the dead-letter topic (rejected only).
create sequence kept_message_id;
create table rejected (
    id bigint not null default nextval('kept_message_id'), stream varchar not null,
    topic varchar not null, topic_id varchar not null, partition integer not null, "offset" bigint not null, file varchar, file_row bigint,
    key blob, value blob, headers struct(name varchar, value blob)[] not null, message_time timestamp,
    stage varchar not null, reason varchar not null, detail varchar not null,
    ingested_at timestamp not null, resolved_at timestamp, is_pending boolean not null
);
create table expired (
    id bigint not null default nextval('kept_message_id'), stream varchar not null,
    topic varchar not null, topic_id varchar not null, partition integer not null, "offset" bigint not null, file varchar, file_row bigint,
    key blob, value blob, headers struct(name varchar, value blob)[] not null, message_time timestamp,
    day date not null, ingested_at timestamp not null, resolved_at timestamp
);

-- Running totals over all days: a late first day changes two rows of daily_users, not all later ones.
create view daily_users_running as
select day, active_customers, buyers, new_customers, new_buyers,
       sum(new_customers) over (order by day) as running_customers, sum(new_buyers) over (order by day) as running_buyers
from daily_users;

create view daily_sales_total as
select day, currency, orders, units, gross_cents, discount_cents, tax_cents, shipping_cents, refunded_cents, net_cents, cost_cents, units_without_cost,
       cast(net_cents as double) / nullif(orders, 0) as average_order_cents,
       cast(units as double) / nullif(orders, 0) as items_per_order,
       cast(discount_cents as double) / nullif(greatest(cast(gross_cents as double), 0), 0) as discount_rate,
       cast(net_cents - cost_cents as double) / nullif(greatest(cast(net_cents as double), 0), 0) as margin
from (
    select day, currency, sum(orders) as orders, sum(units) as units, sum(gross_cents) as gross_cents, sum(discount_cents) as discount_cents,
           sum(tax_cents) as tax_cents, sum(shipping_cents) as shipping_cents, sum(refunded_cents) as refunded_cents, sum(net_cents) as net_cents,
           sum(cost_cents) as cost_cents, sum(units_without_cost) as units_without_cost
    from daily_sales group by day, currency
);
