-- rejected_again: kept messages that could not become events once more, and why.
-- grain: id   reads: batch_rejected_again   writes: rejected
update rejected set stage = again.stage, reason = again.reason, detail = again.detail
from batch_rejected_again as again where rejected.id = again.id;
