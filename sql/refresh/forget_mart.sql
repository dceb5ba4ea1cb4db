-- forget_mart: a mart that was dropped was never there.
-- parameters: mart
delete from mart_state where mart = $mart;
delete from mart_run where mart = $mart;
delete from audit_result where table_name = $mart;
