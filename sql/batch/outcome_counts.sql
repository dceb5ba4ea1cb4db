-- outcome_counts: how many versions came to each outcome.
-- grain: outcome   reads: version_outcome
select outcome, count(*) from version_outcome group by outcome;
