-- 0005_audits: what the audits of each table found when they last ran.

-- severity: error, warning. state: passed, found (rows that should not exist), broken (it could not be run; message says why).
create table audit_result (
    table_name varchar not null, audit varchar not null, severity varchar not null, state varchar not null, rows_found bigint not null,
    message varchar not null, audited_at timestamp not null
);
