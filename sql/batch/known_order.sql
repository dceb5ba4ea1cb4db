-- known_order: which of the batch's versions are of orders that are stored already, and whether they name another customer.
-- grain: seq   reads: incoming_order, stored_order
select i.seq, i.customer_id <> s.customer_id as is_moved
from incoming_order as i join stored_order as s on s.day = i.day and s.order_id = i.order_id;
