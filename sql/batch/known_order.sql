-- known_order: which of the batch's versions are of orders that are stored already.
-- grain: seq   reads: incoming_order, stored_order
select i.seq from incoming_order as i semi join stored_order as s on s.day = i.day and s.order_id = i.order_id;
