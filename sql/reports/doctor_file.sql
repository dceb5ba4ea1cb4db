-- doctor_file: what the file says of itself: how far it has come, what is fixed in it, what wrote it.
-- grain: one row   reads: progress, file_setting, schema_migration
select cluster_id, committed_at, watermark,
       (select value from file_setting where name = 'reporting_time_zone') as reporting_time_zone,
       (select value from file_setting where name = 'reporting_currency') as reporting_currency,
       (select value from file_setting where name = 'tidemark_version') as created_by,
       (select list(name order by name) from schema_migration) as migrations,
       (select tags['storage_version'] from duckdb_databases() where database_name = current_database()) as storage_version
from progress;
