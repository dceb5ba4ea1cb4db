"""The one owner of the file: what it holds, and the transaction that moves it on."""

import threading
import time
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from weakref import WeakSet

import duckdb
import numpy as np
import numpy.typing as npt
import pyarrow as pa

from worker.aggregate import Accounting, touchpoint_hashes
from worker.aggregate.membership import Hashes, Mask
from worker.config import Settings
from worker.errors import PositionConflict, Stopping
from worker.events import EventBatch, KeptMessage, MessageBatch, NextOffset, Outcome, Partition, Position, Rejected, Stream
from worker.source import UNKNOWN, Identity
from worker.source.dlq import OutboxRow
from worker.store import compaction, database, jobs, kept, rebuilding, rejected, retention
from worker.store.compaction import Unit
from worker.store.connections import INTERRUPT_SECONDS
from worker.store.jobs import JobRow, JobState, Progress
from worker.store.rebuilding import RebuiltDay
from worker.store.rejected import Selection
from worker.store.sql import arrow, run
from worker.watermark import WatermarkState

_MANY_ROWS = 10_000  # staged in a transaction: what its temporary tables hold is then worth the 10 ms that dropping them takes


@dataclass(frozen=True, slots=True)
class StoreState:
    """What the file says of how far it has come. `identity` is None before the first commit of a position."""

    commit_id: int
    committed_at: datetime | None
    position: Position
    identity: Identity | None
    watermark: WatermarkState
    sealed_before: date | None


class Transaction:
    """Statements within one commit, bound to the commit's parameters. `seconds`: wall and CPU time by SQL file."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, parameters: Mapping[str, Any]) -> None:
        self._connection = connection
        self._parameters = dict(parameters)
        self._staged: list[str] = []
        self._chosen: list[str] = []
        self.staged_rows = 0
        self.seconds: dict[str, tuple[float, float]] = defaultdict(lambda: (0.0, 0.0))

    def stage(self, name: str, rows: pa.RecordBatch | pa.Table, chosen: Mask | None = None) -> None:
        """Make Arrow rows readable to SQL under that name, until the transaction ends; those that are not `chosen` are passed over.

        In pieces of a row group each, for no more than one of DuckDB's threads reads a piece.
        """
        if chosen is not None and not chosen.all():
            self.stage(f"all_{name}", rows.append_column("is_chosen", pa.array(chosen)))
            self._connection.execute(f"create temp view {name} as select * exclude (is_chosen) from all_{name} where is_chosen")
            self._chosen.append(name)
            return
        table = rows if isinstance(rows, pa.Table) else pa.Table.from_batches([rows])
        pieces = table.to_batches(max_chunksize=database.ROW_GROUP)
        self._connection.register(name, pa.Table.from_batches(pieces, table.schema))
        self._staged.append(name)
        self.staged_rows += rows.num_rows

    @contextmanager
    def staging(self) -> Iterator[None]:
        """What is staged within the block is gone after it."""
        try:
            yield
        except BaseException:
            with suppress(duckdb.Error):  # a file that DuckDB has given up: the error under way tells
                self._unstage()
            raise
        self._unstage()

    def run(self, name: str, **parameters: Any) -> None:
        """Run the statements of sql/<name>.sql."""
        self._timed(name, parameters)

    def rows(self, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Run the statements of sql/<name>.sql; the rows of the last one."""
        return self._timed(name, parameters).fetchall()

    def columns(self, name: str) -> dict[str, npt.NDArray[Any]]:
        """Run the statements of sql/<name>.sql; the columns of the last one's rows, by name, each of shape (n,). None of them is null."""
        return {column: np.asarray(values) for column, values in self._timed(name, {}).fetchnumpy().items()}

    def days_of(self, table: str, before: date) -> list[date]:
        """The distinct days before `before` in a temporary table of this transaction."""
        return [
            day
            for (day,) in self._connection.execute(f"select distinct day from {table} where day < $before", {"before": before}).fetchall()
        ]

    def keep_rejected(self, rejected: Sequence[Rejected], identity: Identity, *, to_dlq: bool) -> None:
        """Keep messages that could not become events, with their bytes; `to_dlq`: they also go to the dead-letter topic."""
        if rejected:
            self.stage("batch_rejected", kept.rejected_rows(rejected, identity, to_dlq=to_dlq))
            self.run("state/rejected")

    def keep_expired(self, expired: Mapping[Stream, Sequence[tuple[int, date]]], batch: MessageBatch, identity: Identity) -> None:
        """Keep events of sealed days, with their bytes."""
        if expired:
            self.stage("batch_expired", kept.expired_rows(expired, batch, identity))
            self.run("state/expired")

    def record_days(self, watermark: WatermarkState, changed_days: Sequence[date]) -> None:
        """Keep day_state, and the ledger of the closed days that the batch changed; `watermark` is the one before the batch."""
        self.run("daily/day_state", closed_before=watermark.closed_before, watermark=_moment(watermark.value))
        if changed_days:
            self.run("batch/sales_change")
            self.run("daily/ledger")

    def stage_days(self, name: str, days: Sequence[date]) -> None:
        """Make days readable to SQL as the table `name`."""
        self.stage(name, pa.record_batch({"day": pa.array(days, pa.date32())}))

    def rebuild_day(
        self, day: date, tables_on: Collection[str], watermark: WatermarkState, *, is_sealed: bool, readmitted: int
    ) -> RebuiltDay:
        """Put the staged events of a day in the place of its rows, and keep day_state and the ledger of what that changes."""
        rebuilt = rebuilding.rebuild_day(
            self, self._connection, day, tables_on, watermark.closed_before, is_sealed=is_sealed, readmitted=readmitted
        )
        self.run("daily/day_state", closed_before=watermark.closed_before, watermark=_moment(watermark.value))
        if rebuilt.changed_days:
            self.run("rebuild/sealed_revision")
            self.run("daily/ledger")
        return rebuilt

    def save(self, identity: Identity, position: Position, watermark: WatermarkState) -> None:
        """Move position and watermark on, with the rows that belong to them. A position is what ties the file to its cluster."""
        if position:
            self.stage("batch_position", _position_rows(position, identity))
            self.run("state/position")
        if watermark.newest:
            self.stage("batch_newest_event", _newest_rows(watermark.newest))
            self.run("state/newest_event")
        self.run(
            "state/progress",
            cluster_id=identity.cluster_id if position else None,
            watermark=_moment(watermark.value),
            closed_before=watermark.closed_before,
        )

    def account(self, accounting: Accounting) -> None:
        """Carry the batch's books into those of the file."""
        accounting.check()
        if accounting.streams:
            self.stage("batch_accounting", _accounting_rows(accounting))
            self.run("state/accounting")

    def take_up(self, batch: EventBatch) -> None:
        """The messages of the batch were kept: each is of the topic that it came from, whatever is read under its name now."""
        self.stage("topic", kept.topic_rows(batch.messages))

    def keep_new_reasons(self, rejected: Sequence[Rejected]) -> None:
        """Kept messages that were rejected once more, and why."""
        if rejected:
            self.stage("batch_rejected_again", kept.rejected_again_rows(rejected))
            self.run("state/rejected_again")

    def drop_rejected(self, selection: Selection) -> int:
        """Give rejected messages up: their bytes go. Returns how many there were."""
        return len(self.rows("state/rejected_drop", **selection.parameters()))

    def resolve(self, batch: EventBatch, identity: Identity) -> None:
        """Rejected messages that are events of this batch have come in."""
        if self.rows("state/unresolved") != [(0,)]:
            self.stage("decoded_message", kept.decoded_rows(batch, identity))
            self.run("state/resolved")

    def rewrite(self, unit: Unit) -> int:
        """Write a unit's rows anew, in order. Returns how many there were."""
        return compaction.rewrite(self._connection, unit)

    def save_progress(self, progress: Progress, accounting: Accounting | None = None) -> None:
        """How far a job has come, with what it did."""
        jobs.save_progress(self._connection, progress, accounting)

    def close_days(self, watermark: WatermarkState) -> list[date]:
        """Close the days that the watermark has passed; they get revision 1 as they stand. Returns them, ascending."""
        parameters = {"closed_before": watermark.closed_before, "watermark": _moment(watermark.value)}
        return sorted(day for (day,) in self.rows("state/close_days", **parameters))

    def seal_days(self, tables_on: frozenset[str], sealed_before: date | None, new_sealed_before: date) -> list[date]:
        """Drop the event and keyed rows of days before `new_sealed_before`. Returns the days that this seals, ascending."""
        return retention.seal(self._connection, tables_on, sealed_before, new_sealed_before)

    def forget_rejected(self, now: datetime, keep_for: timedelta, *, has_dlq: bool) -> None:
        """Drop rejected messages that were kept for so long; where there is a DLQ, only those that have reached it."""
        retention.forget_rejected(self._connection, now, keep_for, has_dlq=has_dlq)

    def _timed(self, name: str, parameters: Mapping[str, Any]) -> duckdb.DuckDBPyConnection:
        wall, cpu = time.perf_counter(), time.thread_time()
        result = run(self._connection, name, {**self._parameters, **parameters})
        spent_wall, spent_cpu = self.seconds[name]
        self.seconds[name] = (spent_wall + time.perf_counter() - wall, spent_cpu + time.thread_time() - cpu)
        return result

    def _unstage(self) -> None:
        for name in self._chosen:
            self._connection.execute(f"drop view if exists temp.{name}")
        for name in set(self._staged):
            self._connection.unregister(name)


class Store:
    """The open file. Use from one thread; queries of others go through `cursor`."""

    def __init__(self, settings: Settings, now: datetime) -> None:
        """Open the file, creating it if need be. Raises StoreError, ConfigError (see database.open_database)."""
        self.path: Path = settings.store.path
        self._connection = database.open_database(settings, now)
        self._currency = settings.reporting_currency
        self._is_laden = False  # the last transaction left large temporary tables
        self._lock = threading.Lock()  # of what follows: others ask for cursors from their threads
        self._cursors: WeakSet[duckdb.DuckDBPyConnection] = WeakSet()
        self._is_closing = False
        with database.told(self.path):
            self.switched = database.rebuild_switched(self._connection, settings.tables_on)

    def cursor(self) -> duckdb.DuckDBPyConnection:
        """Another connection to the open file, for reading beside the worker. Raises Stopping where the file is being closed."""
        with self._lock:
            if self._is_closing:
                raise Stopping
            cursor = database.cursor(self._connection)
            self._cursors.add(cursor)
        return cursor

    def state(self) -> StoreState:
        """What was last committed."""
        fetch = self._fetch
        commit_id, committed_at, cluster_id, watermark, closed_before, sealed_before = fetch("state/read_progress")[0]
        position: dict[Partition, NextOffset] = {}
        topic_ids: dict[str, str] = {}
        for topic, partition, topic_id, next_offset, leader_epoch in fetch("state/read_position"):
            position[Partition(topic, partition)] = NextOffset(next_offset, leader_epoch)
            topic_ids[topic] = topic_id
        newest = {Partition(topic, partition): event_time for topic, partition, event_time in fetch("state/read_newest_event")}
        identity = Identity(cluster_id, topic_ids) if cluster_id is not None else None
        at = committed_at and committed_at.replace(tzinfo=UTC)
        return StoreState(commit_id, at, position, identity, WatermarkState(newest, watermark, closed_before), sealed_before)

    def load_touchpoint_ids(self, day: int) -> Iterator[Hashes]:
        """Membership hashes of the stored touchpoints of an epoch day, in pieces."""
        moment = date.fromordinal(date(1970, 1, 1).toordinal() + day)
        for piece in arrow(self._connection, "batch/touchpoint_ids", {"day": moment}):
            yield touchpoint_hashes(piece["event_uuid"])

    @contextmanager
    def transaction(self, now: datetime, origin: str, topics: Mapping[Stream, str], identity: Identity) -> Iterator[Transaction]:
        """All or nothing: commits when the block ends, rolls back on any exception.

        Raises StoreError where the file can't be written (rolled back; a new attempt may offer the same batch again).
        """
        tx = Transaction(
            self._connection, {"ingested_at": now.replace(tzinfo=None), "origin": origin, "reporting_currency": self._currency}
        )
        try:
            with database.told(self.path), tx.staging():
                if self._is_laden:
                    database.drop_temporary(self._connection)
                with database.transaction(self._connection):
                    tx.stage("topic", _topic_rows(topics, identity))
                    yield tx
        finally:
            self._is_laden = tx.staged_rows > _MANY_ROWS

    def confirm(self, commit_id: int, position: Position) -> None:
        """Read back what was committed. Raises PositionConflict where the file holds something else, or can't be read."""
        try:
            saved = self._fetch("state/saved")
        except duckdb.Error as error:
            remedy = "What was committed is whole. Check the disk, then start the worker again: it goes on from what the file says."
            raise PositionConflict(f"{self.path}: commit {commit_id} can't be read back: {error}", remedy) from error
        found = {
            Partition(topic, partition): NextOffset(offset, epoch) for topic, partition, offset, epoch, _ in saved if topic is not None
        }
        wrong = {p: n for p, n in position.items() if found.get(p) != n}
        if wrong or saved[0][4] != commit_id:
            raise PositionConflict(
                f"{self.path}: commit {commit_id} was to save {wrong or 'the position'}, the file has commit {saved[0][4]} and "
                f"{ {p: found.get(p) for p in wrong} }",
                "Another writer was there, or the commit was lost. Nothing more is written. Run tidemark verify, then start again.",
            )

    def pending(self, after: int, limit: int) -> list[OutboxRow]:
        """Rejected messages that are still to go to their DLQ, with ids greater than `after`, oldest first. Raises StoreError."""
        with database.told(self.path):
            return kept.pending(self._connection, after, limit)

    def sent(self, ids: Collection[int]) -> None:
        """These have reached their DLQ. Raises StoreError; then they are sent once more."""
        with database.told(self.path):
            run(self._connection, "state/sent", {"ids": list(ids)})

    def plan_compaction(self, before: date | None) -> list[Unit]:
        """What is worth rewriting now, of the days before `before` first. Raises StoreError."""
        with database.told(self.path):
            return compaction.plan(self._connection, before)

    def give_back(self) -> bool:
        """Move the write-ahead log into the file, and free its end. False where somebody still reads what was. Raises StoreError."""
        with database.told(self.path):
            return compaction.give_back(self._connection)

    def days_with_events(self, first: date, last: date) -> list[date]:
        """The days from `first` to `last` that hold events, or will once they are rebuilt. From any thread."""
        with closing(self.cursor()) as cursor:
            return [day for (day,) in run(cursor, "rebuild/days", {"first": first, "last": last}).fetchall()]

    def expired_count(self, first: date, last: date, after: int, last_id: int) -> int:
        """Expired messages of these days that are not resolved, with ids from after `after` to `last_id`. From any thread."""
        with closing(self.cursor()) as cursor:
            parameters = {"first": first, "last": last, "after": after, "last_id": last_id}
            return int(run(cursor, "state/expired_count", parameters).fetchall()[0][0])

    def expired_messages(self, first: date, last: date, after: int, last_id: int, limit: int, max_bytes: int) -> list[KeptMessage]:
        """These messages as they came, by id, at most `limit` and of `max_bytes` together, or one. From any thread."""
        with closing(self.cursor()) as cursor:
            parameters = {"first": first, "last": last, "after": after, "last_id": last_id, "limit": limit, "max_bytes": max_bytes}
            return rejected.kept_from(run(cursor, "state/expired_messages", parameters).fetchall())

    def jobs(self) -> list[JobRow]:
        """All jobs there ever were, by id."""
        return jobs.all_jobs(self._connection)

    def add_job(self, kind: str, arguments: Mapping[str, Any], requested_by: str, now: datetime) -> int:
        """A new job, queued; its id. Raises StoreError."""
        with database.told(self.path):
            return jobs.add(self._connection, kind, arguments, requested_by, now)

    def set_job_state(self, job_id: int, state: JobState, now: datetime, message: str = "") -> None:
        """A job begins, or ends. Raises StoreError."""
        with database.told(self.path), database.transaction(self._connection):
            jobs.set_state(self._connection, job_id, state, now, message)

    def end_reading(self) -> None:
        """There are no cursors any more, and what goes on on one is interrupted. A statement that begins after it does not feel it: call
        again until all have ended. From any thread.
        """
        with self._lock:
            self._is_closing = True
            cursors = list(self._cursors)
        for cursor in cursors:
            with suppress(duckdb.ConnectionException):  # closed already
                cursor.interrupt()

    def close(self) -> None:
        """Close the file; what was committed stays. What others have under way on a cursor is interrupted."""
        while True:
            self.end_reading()
            try:
                self._connection.close()
                return
            except duckdb.ResourceInUseException:  # a cursor is at work; a process that ends beside it would be aborted
                time.sleep(INTERRUPT_SECONDS)

    def _fetch(self, name: str) -> list[tuple[Any, ...]]:
        return run(self._connection, name, {}).fetchall()


def _moment(micros: int | None) -> Any:
    return None if micros is None else np.datetime64(micros, "us").item()


def _topic_rows(topics: Mapping[Stream, str], identity: Identity) -> pa.Table:
    rows = [{"stream": s.value, "topic": topic, "topic_id": identity.topic_ids.get(topic, UNKNOWN)} for s, topic in topics.items()]
    return pa.Table.from_pylist(rows, pa.schema([("stream", pa.string()), ("topic", pa.string()), ("topic_id", pa.string())]))


def _position_rows(position: Position, identity: Identity) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "topic": pa.array([p.topic for p in position], pa.string()),
            "partition": pa.array([p.number for p in position], pa.int32()),
            "topic_id": pa.array([identity.topic_ids.get(p.topic, UNKNOWN) for p in position], pa.string()),
            "next_offset": pa.array([n.offset for n in position.values()], pa.int64()),
            "leader_epoch": pa.array([n.leader_epoch for n in position.values()], pa.int32()),
        }
    )


def _newest_rows(newest: Mapping[Partition, int]) -> pa.RecordBatch:
    return pa.record_batch(
        {
            "topic": pa.array([p.topic for p in newest], pa.string()),
            "partition": pa.array([p.number for p in newest], pa.int32()),
            "event_time": pa.array(list(newest.values()), pa.timestamp("us")),
        }
    )


def _accounting_rows(accounting: Accounting) -> pa.RecordBatch:
    counts = list(accounting.streams.values())
    columns: dict[str, pa.Array] = {
        "origin": pa.array([accounting.origin.value] * len(counts), pa.string()),
        "stream": pa.array([stream.value for stream in accounting.streams], pa.string()),
        "read": pa.array([c.read for c in counts], pa.int64()),
        "conflicting_duplicates": pa.array([c.conflicting_duplicates for c in counts], pa.int64()),
    }
    columns |= {outcome.value: pa.array([c.outcomes[outcome] for c in counts], pa.int64()) for outcome in Outcome}
    return pa.record_batch(columns)
