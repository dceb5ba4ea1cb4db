-- progress: how far the file has come, as the refresh sees it.
select p.committed_at, p.closed_before, p.sealed_before, (select coalesce(max(id), 0) from mart_dirty) as dirty_id from progress as p;
