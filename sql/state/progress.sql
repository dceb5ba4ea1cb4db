-- progress: one more commit.
-- grain: one row   writes: progress   parameters: ingested_at, cluster_id, watermark, closed_before
update progress set
    commit_id = commit_id + 1, committed_at = $ingested_at, cluster_id = coalesce($cluster_id, cluster_id),
    watermark = $watermark, closed_before = $closed_before;
