-- accounting: what became of each message read, since the file was created.
-- grain: (origin, stream)   reads: batch_accounting   writes: accounting
merge into accounting as target
using batch_accounting as delta
on target.origin = delta.origin and target.stream = delta.stream
when matched then update set
    read = target.read + delta.read, accepted = target.accepted + delta.accepted, duplicate = target.duplicate + delta.duplicate,
    superseded = target.superseded + delta.superseded, rejected = target.rejected + delta.rejected, expired = target.expired + delta.expired,
    conflicting_duplicates = target.conflicting_duplicates + delta.conflicting_duplicates
when not matched then insert by name;
