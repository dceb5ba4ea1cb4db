"""Days computed anew from what fed them: their events are read again and laid aside, then each day is put right in one commit.

An event that is read again takes the place of what is stored from the same offsets; rows that came from beyond them stand. Only events of
the days asked for count as read.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import structlog

from worker.aggregate import Accounting
from worker.aggregate.accounting import Counts
from worker.committer import Committer
from worker.config import Settings
from worker.errors import ArchiveError, SourceError
from worker.events import EVENT_SCHEMAS, EventBatch, Origin, Partition, Stream, no_rows
from worker.jobs.feed import Feed, Portion
from worker.pipeline import RejectedShare
from worker.source.losses import name
from worker.source.ranges import Range
from worker.store import Transaction
from worker.store.jobs import JobRow, Progress

log = structlog.get_logger()

_STREAMS = (Stream.TOUCHPOINTS, Stream.ORDERS)


@dataclass(frozen=True, slots=True)
class Days:
    """What is rebuilt, and from what. `ranges`: the offsets that were read; none where the events come from files.

    `readmitted`: expired messages up to this id are part of their days again.
    """

    first: date
    last: date
    origin: Origin
    ranges: Mapping[Partition, Range]
    readmitted: int = 0

    def of(self, events: pa.RecordBatch) -> pa.RecordBatch:
        """The events of these days."""
        return events.filter(
            pc.and_(pc.greater_equal(events["day"], pa.scalar(self.first)), pc.less_equal(events["day"], pa.scalar(self.last)))
        )


class RebuildJob:
    """A job (jobs.job.Job): pieces of its feed first, then days. Resumes at the piece or day that comes next."""

    def __init__(self, row: JobRow, feed: Feed, committer: Committer, settings: Settings, days: Days) -> None:
        """`feed` goes on at `feed_point(row)`."""
        self._row = row
        self._feed = feed
        self._committer = committer
        self._settings = settings
        self._days = days
        self._share = RejectedShare()
        point = row.resume_point or {}
        self._staged = int(point.get("staged", 0))  # events laid aside, which number them
        self._read = int(point.get("read", 0))
        self._is_read = bool(point.get("is_read", False))
        self._topic_ids: Mapping[str, str] = point.get("topic_ids", {})  # see Portion
        self._next_day = date.fromisoformat(point["next_day"]) if "next_day" in point else days.first
        self._known = set(committer.store.days_with_events(days.first, days.last))  # days to put right, those of the events read among them
        self._left: Iterator[date] | None = None

    def read(self, now: datetime) -> Portion | date | None:
        """The next portion of events; then the days one by one."""
        if not self._is_read:
            portion = self._feed.next(now)
            if portion is not None:
                for events in portion.batch.events.values():
                    if "day" in events.schema.names:
                        self._known |= set(self._days.of(events)["day"].unique().to_pylist())
                return portion
            self._is_read = True
        if self._left is None:
            self._left = iter(sorted(day for day in self._known if day >= self._next_day))
        return next(self._left, None)

    def commit(self, piece: Portion | date, now: datetime) -> None:
        """Lay events aside, or put a day right."""
        if isinstance(piece, Portion):
            self._stage(piece, now)
        else:
            self._apply(piece, now)

    def close(self) -> None:
        """Let go of the feed."""
        self._feed.close()

    def _stage(self, portion: Portion, now: datetime) -> None:
        self._share.judge(portion.batch, self._settings)
        rows = {stream: self._days.of(portion.batch.events.get(stream, no_rows(EVENT_SCHEMAS[stream]))) for stream in _STREAMS}
        staged = self._staged + max((len(messages) for messages in portion.batch.messages.messages.values()), default=0)
        topic_ids = {**self._topic_ids, **portion.topic_ids}
        point = {"feed": dict(portion.resume_point), "staged": staged, "read": portion.done, "topic_ids": topic_ids}
        identity = self._committer.identity_with(topic_ids)
        with self._committer.transaction(now, self._days.origin, identity=identity) as tx:
            for stream in _STREAMS:
                tx.stage(f"staged_{stream.removesuffix('s')}", rows[stream])
            tx.run("rebuild/stage", base=self._staged)
            books = _books(self._days.origin, portion.batch)
            tx.keep_rejected(portion.batch.rejected, identity, to_dlq=bool(self._settings.kafka.dlq_suffix))
            if portion.batch.rejected and self._days.ranges:
                self._refuse_loss(tx, portion.done)
            tx.account(books)
            tx.save_progress(Progress(self._row.id, portion.done, self._total, point, now), books)
        self._staged, self._read, self._topic_ids = staged, portion.done, topic_ids

    def _refuse_loss(self, tx: Transaction, done: int) -> None:
        """What is read again takes the place of what was stored from there: events that can be read no more would be gone."""
        first, last = self._days.first, self._days.last
        for count, topic, partition, offset, detail in tx.rows("rebuild/lost", first=first, last=last):
            raise SourceError(
                f"{count:,} of the {done:,} messages read so far are events of these days, and can't be read now, "
                f"the first at {name(Partition(topic, partition))}, offset {offset:,}: {detail}",
                "The days are as they were. Give the registry its schemas back (tidemark doctor looks at them), "
                f"then ask again. Or from an archive:  tidemark backfill --from-archive DIR --rebuild-days {first}..{last}",
            )

    def _apply(self, day: date, now: datetime) -> None:
        state = self._committer.state
        is_sealed = state.sealed_before is not None and day < state.sealed_before
        point = {"is_read": True, "staged": self._staged, "read": self._read, "topic_ids": dict(self._topic_ids)}
        point["next_day"] = (day + timedelta(days=1)).isoformat()
        done = self._read + sum(known <= day for known in self._known)
        with self._committer.transaction(now, self._days.origin, identity=self._committer.identity_with(self._topic_ids)) as tx:
            tx.stage("read_range", self._read_ranges())
            tx.run("rebuild/held", day=day)
            if is_sealed and (beyond := tx.rows("rebuild/beyond", day=day)):
                raise _fed_from_elsewhere(day, beyond)
            if is_sealed and (lacking := tx.rows("rebuild/lacking", day=day)):
                raise _not_whole(day, lacking)
            rebuilt = tx.rebuild_day(day, self._settings.tables_on, state.watermark, is_sealed=is_sealed, readmitted=self._days.readmitted)
            books = Accounting(self._days.origin, {})
            for stream, outcomes in rebuilt.outcomes.items():
                books.streams[stream] = Counts(sum(outcomes.values()))
                for outcome, count in outcomes.items():
                    books.add(outcome, {stream: count})
            tx.account(books)
            tx.save_progress(Progress(self._row.id, done, self._total, point, now), books)
        self._committer.forget_members()
        log.info("day_rebuilt", day=day, tables=rebuilt.changed_tables, days_changed=rebuilt.changed_days)

    @property
    def _total(self) -> int | None:
        total = self._feed.total
        return None if total is None else total + len(self._known)

    def _read_ranges(self) -> pa.RecordBatch:
        streams = {topic: stream for stream, topic in self._settings.kafka.topics.items()}
        ranges = [(streams[partition.topic].value, partition.number, *of) for partition, of in self._days.ranges.items()]
        names = {"stream": pa.string(), "partition": pa.int32(), "first_offset": pa.int64(), "before_offset": pa.int64()}
        return pa.record_batch({name: pa.array([row[n] for row in ranges], kind) for n, (name, kind) in enumerate(names.items())})


def feed_point(row: JobRow) -> Mapping[str, Any] | None:
    """Where the feed of a rebuild goes on; None at the beginning."""
    return None if row.resume_point is None else row.resume_point.get("feed")


def _books(origin: Origin, batch: EventBatch) -> Accounting:
    """Of a portion only what was rejected: the events are accounted for with their day."""
    rejected = EventBatch(batch.messages, {}, {}, batch.rejected)
    books = Accounting(origin, {stream: Counts() for stream in batch.messages.messages})
    opened = Accounting.of(rejected)
    for stream, counts in opened.streams.items():
        counts.read = sum(counts.outcomes.values())
        books.streams[stream] = counts
    return books


def _fed_from_elsewhere(day: date, beyond: Collection[tuple[Any, ...]]) -> SourceError:
    """A sealed day has no rows that could stand beside those that were read."""
    places = ", ".join(f"{topic}/{partition} up to offset {last:,}" for topic, partition, last in beyond)
    return SourceError(
        f"{day} is sealed and was also fed by what was not read again: {places}",
        "Days before it are done. Ask for the rest once more: tidemark replay --rebuild-days",
    )


def _not_whole(day: date, lacking: Collection[tuple[Any, ...]]) -> ArchiveError:
    """Of a sealed day nothing else is left: what the files lack would be gone."""
    told = ", ".join(f"{found:,} of its {held:,} {stream}" for stream, held, found in lacking)
    return ArchiveError(
        f"{day} is sealed, and the files do not have all of it: {told}",
        "The day is as it was; days before it are done. Ask for it again with an archive that has the whole day, of all streams.",
    )
