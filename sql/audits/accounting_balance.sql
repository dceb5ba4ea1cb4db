-- accounting_balance: streams of which not every message read is accounted for.
-- grain: (origin, stream)   reads: accounting   severity: error
select * from accounting where read <> accepted + duplicate + superseded + rejected + expired;
