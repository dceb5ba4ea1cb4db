-- 0003_rebuild: the events of days that are being rebuilt, as decoded, until their day is applied. Columns in the order of the tables they go to.
create table rebuild_touchpoint (
    seq bigint not null, day date not null, hour tinyint not null, event_uuid uuid not null, event_text varchar,
    customer_id varchar, session_id varchar not null, occurred_at timestamp not null, event_type varchar not null, channel varchar not null,
    campaign varchar, product_id varchar, device varchar, cost_cents bigint, review_score tinyint, page_type varchar, browser varchar,
    partition integer not null, "offset" bigint not null
);
create table rebuild_order (
    seq bigint not null, day date not null, hour tinyint not null, order_id varchar not null, customer_id varchar not null,
    ordered_at timestamp not null, updated_at timestamp not null, status varchar not null, currency varchar not null,
    customer_segment varchar, region varchar, country varchar, state varchar, city varchar,
    discount_cents bigint not null, tax_cents bigint not null, shipping_cents bigint not null, refunded_cents bigint not null,
    items struct(product_id varchar, category varchar, subcategory varchar, quantity integer, unit_price_cents bigint, discount_cents bigint, unit_cost_cents bigint)[] not null,
    units bigint not null, gross_cents bigint not null, discount_total_cents bigint not null, net_cents bigint not null,
    cost_cents bigint not null, units_without_cost bigint not null,
    partition integer not null, "offset" bigint not null
);
