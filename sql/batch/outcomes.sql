-- outcomes: what became of each version.
-- grain: seq   reads: version_outcome
select seq, is_winner, outcome = 'accepted' as is_accepted, outcome = 'duplicate' as is_duplicate from version_outcome;
