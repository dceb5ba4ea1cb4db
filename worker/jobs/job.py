"""What a job is to the runner, and the job that merges a feed."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, Protocol

from worker.committer import Committer, StepResult
from worker.config import Settings
from worker.decode.calendar import ReportingZone
from worker.errors import ConfigError
from worker.events import EventBatch, MessageBatch, Origin, Partition, Stream
from worker.jobs.feed import Feed, Portion
from worker.pipeline import RejectedShare, newest_event_times
from worker.store.jobs import JobRow, Progress
from worker.watermark import WatermarkRules, WatermarkState

Committed = Callable[[EventBatch, StepResult], None]


class Job(Protocol):
    """Work in pieces. A piece is read in the job's own thread and committed in the main one, in one transaction with its progress."""

    def read(self, now: datetime) -> Any:
        """The next piece; None at the end. Raises Unavailable (call again), Fatal (the job has failed)."""
        ...

    def commit(self, piece: Any, now: datetime) -> None:
        """Raises StoreError (rolled back), Fatal (the job has failed)."""
        ...

    def close(self) -> None:
        """Let go of what it reads from. May be called twice."""
        ...


class MergeJob:
    """Merges what a feed brings, beside the live stream: same checks, same merges, but position and watermark stay.

    With `advance_watermark`, for a file that has no live position, the watermark follows at the end, as if the stream had been read.
    `bears_rejected`: it goes on however many messages are rejected.
    """

    def __init__(
        self,
        row: JobRow,
        feed: Feed,
        committer: Committer,
        settings: Settings,
        committed: Committed,
        *,
        advance_watermark: bool = False,
        bears_rejected: bool = False,
    ) -> None:
        self._row = row
        self._feed = feed
        self._committer = committer
        self._settings = settings
        self._committed = committed
        self._share = None if bears_rejected else RejectedShare()
        self._newest: dict[str, int] = dict((row.resume_point or {}).get("newest", {}))  # greatest event time of each stream, UTC micros
        self._is_to_advance = advance_watermark
        if advance_watermark:
            self._refuse_position()

    def read(self, now: datetime) -> Portion | Literal["advance"] | None:
        """A portion of the feed; after the last one that the watermark is to move, if it is. Reading is ahead of committing."""
        portion = self._feed.next(now)
        if portion is not None:
            for partition, event_time in newest_event_times(portion.batch, {stream: stream.value for stream in Stream}).items():
                self._newest[partition.topic] = max(event_time, self._newest.get(partition.topic, event_time))
            return replace(portion, resume_point=resume_point(portion.resume_point, self._newest))
        if self._is_to_advance:
            self._is_to_advance = False
            return "advance"
        return None

    def commit(self, piece: Portion | Literal["advance"], now: datetime) -> None:
        """Merge it with its progress."""
        if piece == "advance":
            self._refuse_position()  # a worker may have begun to read the stream meanwhile
            batch = EventBatch(MessageBatch({}, origin=Origin.BACKFILL), {}, {}, [])
            self._committed(batch, self._committer.commit(batch, now, watermark=self._advanced()))
            return
        self._refuse_sealed(piece.batch)
        if self._share is not None:
            self._share.judge(piece.batch, self._settings)
        progress = Progress(self._row.id, piece.done, self._feed.total, piece.resume_point, now)
        identity = self._committer.identity_with(piece.topic_ids)
        self._committed(piece.batch, self._committer.commit(piece.batch, now, identity=identity, progress=progress))

    def close(self) -> None:
        """Let go of the feed."""
        self._feed.close()

    def _refuse_position(self) -> None:
        if self._committer.state.position:
            raise ConfigError(
                "the file has a live position: its watermark follows the stream alone",
                "Leave out --advance-watermark: days that the stream has closed are closed.",
            )

    def _refuse_sealed(self, batch: EventBatch) -> None:
        """Files hold whole days: what they bring for a sealed one must not just expire, event by event."""
        sealed_before = self._committer.state.sealed_before
        if batch.messages.origin is not Origin.BACKFILL or sealed_before is None:
            return
        days = [batch.events[stream]["day"] for stream in (Stream.ORDERS, Stream.TOUCHPOINTS) if stream in batch.events]
        sealed = sorted({day for column in days for day in column.unique().to_pylist() if day < sealed_before})
        if sealed:
            raise ConfigError(
                f"the files hold events of sealed days ({len(sealed)}): {sealed[0]} to {sealed[-1]}",
                f"Leave these out: --days {sealed_before}..DAY. Or compute them anew, whole: --rebuild-days {sealed[0]}..{sealed[-1]}",
            )

    def _advanced(self) -> WatermarkState:
        time = self._settings.time
        rules = WatermarkRules(ReportingZone(time.reporting_time_zone), time.watermark_delay, time.allowed_lateness)
        seen = {Partition(stream, -1): event_time for stream, event_time in self._newest.items()}
        before = self._committer.state.watermark
        return replace(rules.advanced(before, seen, seen.keys(), frozenset()), newest=before.newest)


def resume_point(of_feed: Mapping[str, Any], newest: Mapping[str, int]) -> dict[str, Any]:
    """What a MergeJob keeps: where its feed goes on, and the greatest event time of each stream so far."""
    return {"feed": dict(of_feed), "newest": dict(newest)}


def feed_resume_point(row: JobRow) -> Mapping[str, Any] | None:
    """Where the job's feed goes on; None at the beginning."""
    return None if row.resume_point is None else row.resume_point["feed"]
