-- forget_runs: old ones; but of each mart the last, and the last that went well, say how it stands.
-- parameters: before
delete from mart_run
where started_at < $before
  and id not in (select max(id) from mart_run group by mart)
  and id not in (select max(id) from mart_run where state = 'done' group by mart);
