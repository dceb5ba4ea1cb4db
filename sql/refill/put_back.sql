-- put_back: order_change is whole again.
-- reads: refill_order_change   writes: order_change
insert into order_change from refill_order_change;
