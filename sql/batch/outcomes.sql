-- outcomes: what became of each version.
-- grain: seq   reads: version_outcome
select seq, is_winner, outcome from version_outcome;
