-- audits: those that failed when they last ran, errors first.
-- grain: (table_name, audit)   reads: audit_result
select table_name, audit, severity, state, rows_found, message, audited_at from audit_result
where state <> 'passed'
order by severity, table_name, audit;
