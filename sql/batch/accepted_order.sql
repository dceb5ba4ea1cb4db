-- accepted_order: the versions of the batch that were the greatest when they came, those that were then replaced within the batch too.
-- grain: seq   reads: incoming_order, version_outcome   writes: accepted_order
create or replace temp table accepted_order as
select seq, day, partition, "offset" from incoming_order where seq not in (select seq from version_outcome where outcome <> 'accepted');
