"""The outbox: rejected messages go from the file to their DLQ, at least once, between commits."""

import structlog

from worker.committer import StepResult
from worker.events import EventBatch
from worker.run import Clock, Observer
from worker.source.dlq import DlqSink
from worker.store import Store

log = structlog.get_logger()

_AT_ONCE = 500
_SECONDS = 0.1  # how long the main loop waits for deliveries; what is on its way is asked for the next time
_LAST_SECONDS = 2.0
_PAUSE = 1.0
_LONGEST_PAUSE = 60.0


class Outbox(Observer):
    """Empties the outbox a little at a time. What the broker does not take stays in the file and is offered again, less and less often.

    What one topic does not take must not hold up the rest: rows are offered in rounds over all that are pending.
    """

    def __init__(self, store: Store, sink: DlqSink, clock: Clock) -> None:
        self._store = store
        self._sink = sink
        self._clock = clock
        self._may_have_rows = True  # of an earlier run
        self._after = 0  # id of the last row offered in this round
        self._pause = _PAUSE
        self._next_at = clock.tick()

    def committed(self, batch: EventBatch, result: StepResult, seconds: float) -> None:  # noqa: ARG002 - an observer's method
        if batch.rejected and not self._may_have_rows:
            self._may_have_rows, self._next_at = True, self._clock.tick()

    def merged(self, batch: EventBatch, result: StepResult) -> None:
        self.committed(batch, result, 0.0)

    def ticked(self) -> None:
        if self._may_have_rows and self._clock.tick() >= self._next_at:
            self._send(_SECONDS)

    def finished(self) -> None:
        """A last attempt; what is not delivered is sent at the next start."""
        if self._may_have_rows:
            self._send(_LAST_SECONDS)

    def close(self) -> None:
        """Let go of the DLQ. May be called twice."""
        self._sink.close()

    def _send(self, seconds: float) -> None:
        rows = self._store.pending(self._after, _AT_ONCE)
        delivery = self._sink.send(rows, seconds)
        if delivery.delivered:
            self._store.sent(delivery.delivered)
        is_round_over = len(rows) < _AT_ONCE
        self._may_have_rows = bool(delivery.pending) or not is_round_over or self._after > 0
        self._after = 0 if is_round_over else rows[-1].id
        self._pause = _PAUSE if delivery.delivered or not rows else min(2 * self._pause, _LONGEST_PAUSE)
        self._next_at = self._clock.tick() + (self._pause if is_round_over or delivery.pending else 0.0)
        if delivery.pending and self._pause > _PAUSE:
            row_id, why = next(iter(delivery.pending.items()))
            log.warning("outbox_waiting", messages=len(delivery.pending), first=row_id, error=why, next_attempt_seconds=self._pause)
