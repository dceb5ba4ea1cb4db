"""What a worker says of itself: one immutable snapshot, replaced as a whole after each commit."""

import platform
import time
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any, Protocol

import duckdb
from pydantic import AfterValidator, BaseModel, ConfigDict, computed_field

from worker import __version__
from worker.metrics import SourceState
from worker.serve.rates import Rates
from worker.store.sql import run

# A moment in UTC. The file's timestamps are, without saying so.
Moment = Annotated[datetime, AfterValidator(lambda at: at if at.tzinfo else at.replace(tzinfo=UTC))]


class _Snapshot(BaseModel):
    model_config = ConfigDict(frozen=True)


class PartitionStatus(_Snapshot):
    """Where one partition stands; the broker's end is unknown where no worker runs."""

    topic: str
    partition: int
    next_offset: int
    log_end_offset: int | None = None
    offset_lag: int | None = None


class AccountingStatus(_Snapshot):
    """Messages since the file was created: read = accepted + duplicate + superseded + rejected + expired.

    conflicting_duplicates: those of the duplicates whose content differs; the first one stays.
    """

    stream: str
    origin: str
    read: int
    accepted: int
    duplicate: int
    superseded: int
    rejected: int
    expired: int
    conflicting_duplicates: int


class RejectedStatus(_Snapshot):
    """Rejected messages that are not resolved, by reason, `last_at` the last one; `pending` of them are still to be sent to their
    dead-letter topic.
    """

    stream: str
    stage: str
    reason: str
    messages: int
    pending: int
    last_at: Moment


class RemergeStatus(_Snapshot):
    """A closed day that was re-merged, last at `changed_at`, and what changed in it since it closed; money in the reporting currency."""

    day: date
    revision: int
    changed_at: Moment
    late_new: int
    late_update: int
    touchpoints: int
    orders: int
    net_cents: int


class JobStatus(_Snapshot):
    """A replay, backfill or the like: `done` of `total` (messages, rows or what else it counts), and what became of the messages."""

    id: int
    kind: str
    state: str
    done: int
    total: int | None
    read: int
    accepted: int
    rejected: int
    requested_at: Moment
    started_at: Moment | None
    changed_at: Moment
    ended_at: Moment | None
    message: str


class MartStatus(_Snapshot):
    """A mart: the day that its rows show, and what became of its last refresh, which took `seconds`: done or failed, and why."""

    mart: str
    as_of: date | None
    is_provisional: bool
    refreshed_at: Moment | None
    rows: int | None
    state: str
    seconds: float
    message: str


class AuditStatus(_Snapshot):
    """An audit that failed when it last ran: it found rows that should not exist, or it is broken (`message`)."""

    table_name: str
    audit: str
    severity: str
    state: str
    rows_found: int
    message: str
    audited_at: Moment


class DaysStatus(_Snapshot):
    """Days by state, the first and the last day."""

    open: int = 0
    closed: int = 0
    sealed: int = 0
    first: date | None = None
    last: date | None = None


class FileStatus(_Snapshot):
    """The DuckDB file and its write-ahead log, in bytes."""

    path: str
    file_bytes: int
    wal_bytes: int

    @classmethod
    def of(cls, path: Path) -> "FileStatus":
        """Their sizes now; 0 for what is not there."""
        return cls(path=str(path), file_bytes=_size(path), wal_bytes=_size(path.with_name(path.name + ".wal")))


def _versions() -> dict[str, str]:
    return {"tidemark": __version__, "duckdb": duckdb.__version__, "python": platform.python_version()}


class Status(_Snapshot):
    """One snapshot. Times are UTC. `taken_at`: by the worker, None where no worker runs. `not_ready`: why the worker is not assigned or
    can't write, empty when it is ready; `message`: what is being waited for, if anything. `remerges`, `jobs`: the last ones, newest first.
    """

    taken_at: Moment | None = None
    state: SourceState = SourceState.STARTING
    not_ready: tuple[str, ...] = ("starting",)
    message: str = ""
    watermark: Moment | None = None
    watermark_lag_seconds: float | None = None
    last_commit_at: Moment | None = None
    reporting_time_zone: str | None = None
    reporting_currency: str | None = None
    days: DaysStatus = DaysStatus()
    partitions: tuple[PartitionStatus, ...] = ()
    accounting: tuple[AccountingStatus, ...] = ()
    rejected: tuple[RejectedStatus, ...] = ()
    remerges: tuple[RemergeStatus, ...] = ()
    jobs: tuple[JobStatus, ...] = ()
    marts: tuple[MartStatus, ...] = ()
    audits: tuple[AuditStatus, ...] = ()
    rates: Rates | None = None
    file: FileStatus | None = None
    versions: dict[str, str] = _versions()

    @computed_field  # type: ignore[prop-decorator]
    @property
    def offset_lag(self) -> int | None:
        """Of all partitions whose end is known; None where no end is."""
        lags = [partition.offset_lag for partition in self.partitions if partition.offset_lag is not None]
        return sum(lags) if lags else None

    def as_json(self) -> dict[str, Any]:
        """Plain values; times as ISO 8601."""
        return self.model_dump(mode="json")


class StatusProvider(Protocol):
    """What the HTTP and admin servers need of a worker. Called from their threads; must not wait."""

    def status(self) -> Status:
        """The last snapshot."""
        ...

    def seconds_since_tick(self) -> float:
        """How long ago the worker's loop last came round."""
        ...


class StatusBoard:
    """Where the worker puts its snapshots and its ticks, and others read them. An assignment is atomic: no lock."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._status = Status()
        self._ticked_at = clock()

    def publish(self, status: Status) -> None:
        """Replace the snapshot."""
        self._status = status

    def tick(self) -> None:
        """The loop came round."""
        self._ticked_at = self._clock()

    def status(self) -> Status:
        """The last snapshot."""
        return self._status

    def seconds_since_tick(self) -> float:
        """How long ago the loop last came round."""
        return self._clock() - self._ticked_at


def status_of_file(connection: duckdb.DuckDBPyConnection, path: Path) -> Status:
    """What the file says by itself, where no worker runs."""

    def rows(name: str) -> Iterable[dict[str, Any]]:
        result = run(connection, f"status/{name}", {})
        columns = [column[0] for column in result.description or ()]
        return [dict(zip(columns, row, strict=True)) for row in result.fetchall()]

    (progress,) = rows("progress")
    (days,) = rows("days")
    return Status(
        state=SourceState.STOPPED,
        not_ready=("no worker runs",),
        watermark=progress["watermark"],
        last_commit_at=progress["committed_at"],
        reporting_time_zone=progress["reporting_time_zone"],
        reporting_currency=progress["reporting_currency"],
        days=DaysStatus(**days),
        partitions=tuple(PartitionStatus(**row) for row in rows("position")),
        accounting=tuple(AccountingStatus(**row) for row in rows("accounting")),
        rejected=tuple(RejectedStatus(**row) for row in rows("rejected")),
        remerges=tuple(RemergeStatus(**row) for row in rows("remerges")),
        jobs=tuple(JobStatus(**row) for row in rows("jobs")),
        marts=tuple(MartStatus(**row) for row in rows("marts")),
        audits=tuple(AuditStatus(**row) for row in rows("audits")),
        file=FileStatus.of(path),
    )


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
