-- 0004_marts: the marts' own books. Their tables come into being with their first refresh.

-- One row a refresh, whatever came of it. state: done, failed. trigger: schedule, command. version: of the definition and its parameters.
-- reason: why all of it was computed, of a mart of which else only what has changed is. dirty_share: the share of the mart's rows that were replaced.
create sequence mart_run_id;
create table mart_run (
    id bigint not null default nextval('mart_run_id'), mart varchar not null, trigger varchar not null, state varchar not null,
    as_of date, is_provisional boolean not null, version varchar not null, reason varchar not null,
    started_at timestamp not null, seconds double not null,
    rows_read bigint, rows_written bigint, rows_removed bigint, dirty_share double, message varchar not null default ''
);

-- One row a mart: what its rows stand for. Events committed up to read_at, and entries of mart_dirty up to dirty_id, are in it.
-- closed_before, sealed_before: of the file, at the time.
create table mart_state (
    mart varchar not null, version varchar not null, as_of date not null, is_provisional boolean not null,
    read_at timestamp not null, dirty_id bigint not null, closed_before date not null, sealed_before date, refreshed_at timestamp not null, rows bigint
);

-- What the marts could not tell from the rows: these customers (null: all) have changed, though nothing of theirs was ingested.
create sequence mart_dirty_id;
create table mart_dirty (id bigint not null default nextval('mart_dirty_id'), customer_id varchar);

-- When the row was committed; null: before this column was there.
alter table customer add column ingested_at timestamp;
