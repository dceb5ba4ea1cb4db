-- read_progress: how far the file has come.
-- grain: one row   reads: progress
select commit_id, committed_at, cluster_id, epoch_us(watermark), closed_before, sealed_before from progress;
