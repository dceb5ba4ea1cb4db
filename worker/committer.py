"""The one writer of rows: merges a decoded batch, and commits with it all that moves along."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

import structlog

from worker.aggregate import Accounting, Membership, merge
from worker.config import Settings
from worker.errors import OutOfMemory
from worker.events import EventBatch, NextOffset, Origin, Partition, Position, Stream
from worker.source import UNKNOWN, Identity
from worker.store import Store, StoreState, Transaction
from worker.store.jobs import Progress
from worker.watermark import WatermarkState

log = structlog.get_logger()

_MEMBERSHIP_BYTES = 96 * 2**20
_MOMENT = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one commit did; `is_empty` where there was nothing to commit."""

    commit_id: int
    accounting: Accounting
    watermark: WatermarkState
    changed_days: Sequence[date] = ()
    closed_days: Sequence[date] = ()
    sealed_days: Sequence[date] = ()
    late: Mapping[Stream, int] = field(default_factory=dict)
    seconds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    is_empty: bool = False


class Committer:
    """Every commit goes through here, of the live stream and of jobs alike. `state`: what was last committed. Use from one thread.

    `make_room`: while its block lasts nothing else takes memory of the file's; whether something did.
    """

    def __init__(self, store: Store, settings: Settings) -> None:
        self.store = store
        self.state: StoreState = store.state()
        self._settings = settings
        self._membership = Membership(store.load_touchpoint_ids, _MEMBERSHIP_BYTES)
        self.make_room: Callable[[], AbstractContextManager[bool]] = lambda: nullcontext(False)

    @property
    def identity(self) -> Identity:
        """The log's that the file was last fed from; unknown where there was none."""
        return self.state.identity or Identity(UNKNOWN)

    def identity_with(self, topic_ids: Mapping[str, str]) -> Identity:
        """The same, but for these topics."""
        return replace(self.identity, topic_ids={**self.identity.topic_ids, **topic_ids})

    def commit(
        self,
        batch: EventBatch,
        now: datetime,
        *,
        identity: Identity | None = None,
        position: Mapping[Partition, NextOffset] | None = None,
        watermark: WatermarkState | None = None,
        progress: Progress | None = None,
    ) -> StepResult:
        """Merge the batch and commit it with its position and watermark, or with the progress of its job. Nothing is visible before.

        Where memory is short and `make_room` gives some, it is done a second time. Raises StoreError (rolled back), PositionConflict
        (another writer).
        """
        try:
            return self._commit(batch, now, identity, position, watermark, progress)
        except OutOfMemory as error:
            with self.make_room() as is_made:
                if not is_made:
                    raise
                log.warning("commit_made_room", error=error.message)
                return self._commit(batch, now, identity, position, watermark, progress)

    def _commit(
        self,
        batch: EventBatch,
        now: datetime,
        identity: Identity | None,
        position: Mapping[Partition, NextOffset] | None,
        watermark: WatermarkState | None,
        progress: Progress | None,
    ) -> StepResult:
        before, settings = self.state, self._settings
        identity, watermark = identity or self.identity, watermark or before.watermark
        origin = batch.messages.origin
        with self.transaction(now, origin, identity=identity, position=position or {}) as tx:
            if origin is Origin.DLQ:
                tx.take_up(batch)
            merged = merge(
                tx,
                batch,
                self._membership,
                settings.tables_on,
                closed_before=before.watermark.closed_before,
                sealed_before=before.sealed_before,
            )
            if origin is Origin.DLQ:
                tx.keep_new_reasons(batch.rejected)
            else:
                tx.keep_rejected(batch.rejected, identity, to_dlq=bool(settings.kafka.dlq_suffix))
            tx.keep_expired(merged.expired, batch.messages, identity)
            if origin is not Origin.LIVE:
                tx.resolve(batch, identity)
            tx.record_days(before.watermark, merged.changed_days)
            closed = tx.close_days(watermark)
            sealed_before, sealed = self._seal(tx, watermark, now)
            tx.account(merged.accounting)
            if progress is not None:
                tx.save_progress(progress, merged.accounting)
            self.state = replace(before, watermark=watermark, sealed_before=sealed_before)
        self._membership.add(merged.touchpoint_days, merged.touchpoint_ids)
        return StepResult(
            self.state.commit_id, merged.accounting, watermark, merged.changed_days, closed, sealed, merged.late, dict(tx.seconds)
        )

    @contextmanager
    def transaction(
        self, now: datetime, origin: Origin, *, identity: Identity | None = None, position: Position | None = None
    ) -> Iterator[Transaction]:
        """One commit: what is done in the block, and the watermark of `state` as the block leaves it, or nothing of all that.

        Its moment is later than that of the commit before, whatever the clock says: marts ask for what came after the one they know.
        """
        before, moved = self.state, position or {}
        now = now if before.committed_at is None else max(now, before.committed_at + _MOMENT)
        identity = identity or self.identity
        try:
            with self.store.transaction(now, origin.value, self._settings.kafka.topics, identity) as tx:
                yield tx
                tx.save(identity, moved, self.state.watermark)
            self.state = replace(
                self.state,
                commit_id=before.commit_id + 1,
                committed_at=now,
                position={**before.position, **moved},
                identity=identity if moved else before.identity,
            )
            self.store.confirm(self.state.commit_id, self.state.position)
        except BaseException:
            self.state = before
            self._membership.clear()
            raise

    def forget_members(self) -> None:
        """Rows were put in or taken out in another way than by merging: what is stored must be asked for again."""
        self._membership.clear()

    def _seal(self, tx: Transaction, watermark: WatermarkState, now: datetime) -> tuple[date | None, list[date]]:
        """Retention: the last `days` closed days keep their rows. Returns the new sealed_before and the days sealed now."""
        before, retention = self.state, self._settings.retention
        if watermark.closed_before is None or watermark.closed_before == before.watermark.closed_before:
            return before.sealed_before, []
        if retention.rejected_days is not None:
            tx.forget_rejected(now, timedelta(days=retention.rejected_days), has_dlq=bool(self._settings.kafka.dlq_suffix))
        if retention.days is None:
            return before.sealed_before, []
        sealed_before = watermark.closed_before - timedelta(days=retention.days)
        if before.sealed_before is not None and sealed_before <= before.sealed_before:
            return before.sealed_before, []
        return sealed_before, tx.seal_days(self._settings.tables_on, before.sealed_before, sealed_before)
