-- saved: what the file holds after a commit, to be compared with what was to be saved.
-- grain: partition   reads: position, progress
select p.topic, p.partition, p.next_offset, p.leader_epoch, g.commit_id from progress as g left join position as p on true;
