"""A random life with jobs: replays, rebuilds and backfills, whose pieces are committed between those of the live stream, in any order.

Jobs die with their worker and go on from their row; some are cancelled; rows are lost behind the worker's back and read again.
"""

from collections import Counter, deque
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb

from tests.simulation.archive import RandomArchive, Reading
from tests.simulation.log import SimulatedBroker, SimulatedRangeReader
from tests.simulation.simulation import OUTCOMES, Simulation
from tests.support.messages import WRITER_SCHEMAS, Produced
from tests.support.oracle_sql import selected
from tests.support.reference import Reference, Row, differences
from tests.support.reference.decoding import Invalid, decoded_event
from tests.support.streams import StreamOptions, without_conflicts
from worker.backfill import ArchiveFeed, plan_archive
from worker.backfill.days import DaysFeed
from worker.decode import Decoder
from worker.errors import ConfigError, SourceError
from worker.events import EventBatch, Origin, Partition
from worker.jobs.feed import Feed, Portion
from worker.jobs.job import Job, MergeJob, feed_resume_point
from worker.rebuild import Days, RebuildJob, feed_point
from worker.replay import DayOffset, ReplayFeed, ReplayPlan, ReplayRequest, plan_rebuild, plan_replay
from worker.source import UNKNOWN
from worker.source.ranges import Range
from worker.store.jobs import JobRow, JobState
from worker.verify import switched_on, verify

FAR = datetime(2100, 1, 1, tzinfo=UTC)
GUARD = timedelta(hours=1)
MERGED = ("accepted", "duplicate", "superseded", "rebuilt")
MOST_ROWS = 100  # of an archive's piece
READ_AHEAD = 2  # pieces that a job's thread may have read before the main loop commits one


@dataclass
class Asked:
    """What the life remembers of a job.

    `rows`: of its archive, in the order of reading; `laid_aside`: the events of a rebuild; `is_needed`: not to be cancelled.
    """

    origin: Origin
    plan: ReplayPlan | None = None
    archive: Path | None = None
    rows: Sequence[Reading] = ()
    days: tuple[date, date] | None = None
    is_needed: bool = False
    laid_aside: list[tuple[date, Reading, datetime]] = field(default_factory=list)


class JobLife(Simulation):
    """A Simulation with jobs, one after the other. After every commit the tables are the reference's, whatever brought it."""

    def __init__(self, seed: int, directory: Path, messages: int) -> None:
        self.directory = directory
        self.is_single = Random(seed).random() < 0.6  # no two touchpoints of one id differ: the end does not depend on the way
        self.asked: dict[int, Asked] = {}
        self.running: Job | None = None
        self.ahead: deque[tuple[Any, datetime]] = deque()
        self.books: Counter[tuple[str, str, str]] = Counter()  # by origin, stream, outcome
        self.read: dict[Reading, datetime] = {}  # and when it was read last
        self.origins: dict[str, dict[tuple[Any, ...], bool]] = {"rejected": {}, "expired": {}}  # whether it is resolved
        self.versions: dict[tuple[Any, ...], Row] = {}  # of archived rows
        super().__init__(seed, directory, messages)
        self.has_offsets = self.random.random() < 0.6

    def run(self) -> None:
        """Read the log to its end, with jobs; then end them. Raises AssertionError where something is not as it should be."""
        while self.log.arrivals() or self._unfinished():
            if self.log.arrivals() and self.random.random() < 0.4:
                self._let_messages_arrive()
                self._step(self._poll())
            elif self._unfinished():
                self._work(self._unfinished()[0])
            else:
                self._ask_for_something()
            if self.random.random() < 0.15:
                self.check()
            if self.random.random() < 0.05:
                self._restart()
        self.check()
        self._check_jobs()
        if self.settings.retention.days is None and self.is_single:
            self._check_against_one_batch()
        self.store.close()

    # What is asked for

    def _ask_for_something(self) -> None:
        self.random.choice((self._ask_replay, self._ask_backfill, self._ask_rebuild, self._ask_archive_rebuild, self._lose_rows))()

    def _ask_replay(self, request: ReplayRequest | None = None) -> None:
        state = self.pipeline.state
        if state.identity is not None:
            topics = self.log.topics().values()
            plan = plan_replay(request or self._request(), SimulatedBroker(self.log), state.position, state.identity, topics)
            if plan.total:
                self._add("replay", Asked(Origin.REPLAY, plan), plan)

    def _request(self) -> ReplayRequest:
        """All, a topic, an offset range of a partition, or a time."""
        partition = self._one(sorted(self.pipeline.state.position))
        start, end = self.log.bounds(partition)
        first = self.random.randint(start, end - 1)
        since = self.now - timedelta(days=self.random.uniform(0, 20))
        requests = (
            ReplayRequest(),
            ReplayRequest((partition.topic,)),
            ReplayRequest((partition.topic,), (partition.number,), first=first, end=self.random.randint(first + 1, end)),
            ReplayRequest(since=since, until=self._one((None, since + timedelta(days=3)))),
        )
        return self.random.choice(requests)

    def _ask_rebuild(self, days: tuple[date, date] | None = None) -> bool:
        """From the log. False where it has not all that fed the days."""
        days, state = days or self._some_days(), self.pipeline.state
        with self.store.cursor() as connection:
            fed_by = [
                DayOffset(*row)
                for row in connection.execute(
                    "select day, topic, topic_id, partition, first_offset, last_offset from day_offset where day between $first and $last",
                    {"first": days[0], "last": days[1]},
                ).fetchall()
            ]
        if not fed_by or state.identity is None:
            return False
        try:
            plan = plan_rebuild(fed_by, SimulatedBroker(self.log), state.identity, self.log.topics().values())
        except SourceError:
            assert any(row.partition < 0 or row.topic_id == UNKNOWN for row in fed_by), "the log has all that came from it"
            self.met["rebuilds refused"] += 1
            return False
        self._add("rebuild", Asked(Origin.REPLAY, plan, days=days), plan)
        return True

    def _ask_backfill(self) -> None:
        are_picked = self.pipeline.state.sealed_before is not None or self.random.random() < 0.3
        self._ask_archive("backfill", self._one((0.1, 0.3, 1.0)), self._some_days() if are_picked else None)

    def _ask_archive_rebuild(self) -> None:
        self._ask_archive("rebuild", 1.0, self._some_days())

    def _ask_archive(self, kind: str, share: float, days: tuple[date, date] | None) -> None:
        """Files of some messages; without offsets also of such that the log does not have yet."""
        chosen = [message for message in self.produced if self.random.random() < share and self._may_be_archived(message)]
        directory = self.directory / f"archive-{len(self.asked)}"
        topics = {stream.value: topic for stream, topic in self.log.topics().items()}
        archive = RandomArchive(self.random, directory, chosen, topics, has_offsets=self.has_offsets)
        if archive.rows:
            plan = plan_archive(directory, self.log.topics())
            in_turn = [row for part in plan.parts for row in archive.rows[plan.archive.name(part)]]
            self._add(kind, Asked(Origin.BACKFILL, archive=directory, rows=in_turn, days=days))

    def _may_be_archived(self, message: Produced) -> bool:
        """No two rows are versions of one moment that differ: where they have no offsets, the hash of their contents would decide."""
        if message.value() is None or (self.has_offsets and message.arrived_at > self.log.visible_until):
            return False
        with suppress(Invalid):
            row = self._decoded(message, FAR)
            if message.stream != "touchpoints":
                key = (message.stream, *(row.get(name) for name in ("day", "order_id", "customer_id", "product_id", "updated_at")))
                return self.versions.setdefault(key, row) == row
        return True

    def _lose_rows(self) -> None:
        """Rows are gone, and the tables are what the other rows give. What is asked for then brings them back."""
        if self.pipeline.state.identity is None:
            return
        self.met["losses"] += 1
        with self.store.cursor() as connection:
            lost = {}
            for table, name in (("touchpoint", "event_id"), ("order_current", "order_id")):
                condition = f"hash({name}) % 3 = {self.random.randrange(3)}"
                lost[table] = connection.execute(f"select day, {name} from {table} where {condition}").fetchall()
                connection.execute(f"delete from {table} where {condition}")
            list(verify(connection, switched_on(connection), repair=True))
        self.reference.lose(lost["touchpoint"], lost["order_current"])
        self.history.switched(self.reference.tables(), self.settings.tables_on)
        self.has_whole_ledger = False
        self.check()
        if self.random.random() < 0.5 or self.pipeline.state.sealed_before or not self._ask_rebuild((date.min, date.max)):
            self._ask_replay(ReplayRequest())
        self.asked[max(self.asked)].is_needed = True

    def _some_days(self) -> tuple[date, date]:
        """Any days that are not sealed, perhaps some without events."""
        days = [self.options.first_day + timedelta(days=number) for number in range(-1, self.options.days + 2)]
        unsealed = [day for day in days if day >= (self.pipeline.state.sealed_before or date.min)] or days[-1:]
        ends = self._one((self.random.choices(unsealed, k=2), unsealed))
        return min(ends), max(ends)

    def _add(self, kind: str, asked: Asked, plan: ReplayPlan | None = None) -> None:
        arguments = {} if plan is None else {"plan": plan.as_json()}
        self.asked[self.store.add_job(kind, arguments, "a life", self.now)] = asked
        self.met[f"{kind} from {'an archive' if plan is None else 'the log'}"] += 1

    # How it is done

    def _let_messages_arrive(self) -> None:
        """Fewer at once than where no jobs come between them."""
        arrivals = self.log.arrivals()
        self.now = max(self.now, arrivals[min(self._one((0, 5, 30)), len(arrivals) - 1)]) + self._one((timedelta(0), timedelta(minutes=3)))
        self.log.visible_until = self.now

    def _unfinished(self) -> list[JobRow]:
        return [row for row in self.store.jobs() if row.is_unfinished]

    def _work(self, row: JobRow) -> None:
        """One piece of the job is committed, perhaps; some are read ahead of it."""
        if self.running is None:
            self.store.set_job_state(row.id, JobState.RUNNING, self.now)
            self.running = self._made(row)
        job = self.running
        if self.random.random() < 0.02 and not self.asked[row.id].is_needed:
            self._end(row, JobState.CANCELLED)
            return
        while len(self.ahead) < self._one((1, READ_AHEAD)) and (not self.ahead or self.ahead[-1][0] is not None):
            self.ahead.append((job.read(self.now), self.now))
        piece, read_at = self.ahead.popleft()
        sealed_before = self.pipeline.state.sealed_before
        if piece is None:
            self._end(row, JobState.DONE)
        elif isinstance(piece, date) and sealed_before is not None and piece < sealed_before:
            self._end(row, JobState.CANCELLED)  # meanwhile the live stream has sealed the day; what such a rebuild gives, others tell
        else:
            self._commit(row, job, piece, read_at)

    def _commit(self, row: JobRow, job: Job, piece: Portion | date, read_at: datetime) -> None:
        before = self.pipeline.state
        try:
            has_survived = self._survived(lambda: job.commit(piece, self.now))
        except ConfigError:
            assert before.sealed_before is not None, "backfill is refused for sealed days alone"
            self.met["backfills refused"] += 1
            self._end(row, JobState.FAILED)
            return
        if not has_survived:
            self.store.close()
            self._open()
        after = self.pipeline.state
        assert (after.position, after.watermark, after.sealed_before) == (before.position, before.watermark, before.sealed_before)
        assert after.commit_id - before.commit_id in (0, 1)
        if after.commit_id > before.commit_id:
            self.met["pieces"] += 1
            self._job_committed(row, piece, read_at)

    def _made(self, row: JobRow) -> Job:
        """As worker.job_kinds does it."""
        asked, committer = self.asked[row.id], self.pipeline.committer
        point = (feed_point if row.kind == "rebuild" else feed_resume_point)(row)
        ranges: dict[Partition, Range] = {}
        if "plan" in row.arguments:
            plan = ReplayPlan.from_json(row.arguments["plan"])
            ranges = {partition: planned for partition, planned, _ in plan.ranges}
            reader = SimulatedRangeReader(self.log, plan.left(point), plan.identity, self.random)
            decoder = Decoder(self.schemas, self.zone, GUARD, self.log.topics())
            feed: Feed = ReplayFeed(plan, reader, decoder, MOST_ROWS, resume_point=point)
        else:
            assert asked.archive is not None
            feed = ArchiveFeed(plan_archive(asked.archive, self.log.topics()), self.zone, GUARD, MOST_ROWS, point)
        if row.kind == "rebuild":
            assert asked.days is not None
            return RebuildJob(row, feed, committer, self.settings, Days(*asked.days, asked.origin, ranges))
        return MergeJob(row, DaysFeed(feed, *asked.days) if asked.days else feed, committer, self.settings, lambda *_: None)

    def _end(self, row: JobRow, state: JobState) -> None:
        assert self.running is not None
        self.running.close()
        self.running = None
        self.ahead.clear()
        self.store.set_job_state(row.id, state, self.now)
        self.met[state.value] += 1

    def _open(self) -> None:
        self.running = None
        self.ahead.clear()
        super()._open()

    # What the reference makes of it

    def _stream(self, seed: int, options: StreamOptions) -> list[Produced]:
        messages = super()._stream(seed, options)
        return list(without_conflicts(messages, options.time_zone)) if self.is_single else messages

    def _committed(self) -> None:
        for messages in self.polled.messages.values():
            for message in messages:
                assert isinstance(message, Produced)
                self._process(Origin.LIVE, Reading(message), self.now)
        self._follow()

    def _job_committed(self, row: JobRow, piece: Portion | date, read_at: datetime) -> None:
        """`row` is the job's before the commit."""
        asked = self.asked[row.id]
        if isinstance(piece, date):
            self._rebuilt(asked, piece)
        else:
            readings = asked.rows[row.done : piece.done] if asked.rows else _readings(piece.batch)
            for reading in readings:
                if row.kind == "rebuild":
                    self._lay_aside(asked, reading, read_at)
                elif asked.days is None or self._is_of(asked.days, reading.message, read_at):
                    self._process(asked.origin, reading, read_at)
        self._follow()

    def _process(self, origin: Origin, reading: Reading, now: datetime) -> str:
        message = reading.message
        outcome = self.reference.process(message.stream, message, now)
        self.books[origin, message.stream, outcome] += 1
        self.read[reading] = max(now, self.read.get(reading, now))
        if outcome in self.origins:
            self.origins[outcome].setdefault(reading.origin, False)
        if outcome != "rejected" and origin is not Origin.LIVE:
            self._resolve(reading)
        return outcome

    def _resolve(self, reading: Reading) -> None:
        if reading.origin in self.origins["rejected"]:
            self.origins["rejected"][reading.origin] = True

    def _lay_aside(self, asked: Asked, reading: Reading, now: datetime) -> None:
        """A rebuild keeps the events of its days; what is rejected counts at once."""
        message = reading.message
        if self._fresh_reference().process(message.stream, message, now) == "rejected":
            self.books[asked.origin, message.stream, "rejected"] += 1
            self.origins["rejected"].setdefault(reading.origin, False)
        elif message.value() is not None and message.stream in ("orders", "touchpoints") and asked.days:
            day = self._decoded(message, now)["day"]
            if asked.days[0] <= day <= asked.days[1]:
                asked.laid_aside.append((day, reading, now))

    def _rebuilt(self, asked: Asked, day: date) -> None:
        """Its events come as if once more, though which of them count as accepted is told in another way, and no conflicts are."""
        before = self.reference.conflicting_duplicates
        for _, reading, now in [each for each in asked.laid_aside if each[0] == day]:
            outcome = self._process(asked.origin, reading, now)
            self._resolve(Reading(reading.message))  # a row of a file is at its place in the log too
            self.books[asked.origin, reading.message.stream, outcome] -= 1
            self.books[asked.origin, reading.message.stream, "rebuilt"] += 1
        self.reference.conflicting_duplicates = before

    def _is_of(self, days: tuple[date, date], message: Produced, now: datetime) -> bool:
        """Whether --days lets it through: rows that are rejected, customers and products are of no day."""
        if message.stream in ("orders", "touchpoints"):
            with suppress(Invalid):
                return bool(days[0] <= self._decoded(message, now)["day"] <= days[1])
        return True

    def _decoded(self, message: Produced, now: datetime) -> Row:
        return decoded_event(message.stream, message, WRITER_SCHEMAS, self.reference.zone, now + GUARD)

    def _fresh_reference(self) -> Reference:
        return Reference(
            reporting_time_zone=self.options.time_zone,
            reporting_currency=self.settings.reporting_currency,
            writer_schemas=WRITER_SCHEMAS,
            future_guard=GUARD,
        )

    # What is compared

    def _accounting_faults(self, rows: list[Row]) -> list[str]:
        """Of an origin with rebuilds only what was merged in all."""
        faults = []
        rebuilt = {(origin, stream) for (origin, stream, outcome), count in self.books.items() if outcome == "rebuilt" and count}
        expected, found = Counter[tuple[str, str, str]](), Counter[tuple[str, str, str]]()
        for row in rows:
            if row["read"] != sum(row[name] for name in OUTCOMES):
                faults.append(f"accounting {row['origin']} {row['stream']}: read is not the sum")
            for name in OUTCOMES:
                found[_told(row["origin"], row["stream"], name, rebuilt)] += row[name]
        for key, count in self.books.items():
            expected[_told(*key, rebuilt)] += count
        conflicting = sum(row["conflicting_duplicates"] for row in rows)
        if conflicting != self.reference.conflicting_duplicates:
            faults.append(f"conflicting duplicates: expected {self.reference.conflicting_duplicates}, is {conflicting}")
        wrong = [key for key in expected | found if expected[key] != found[key]]
        return faults + [f"accounting {key}: expected {expected[key]}, is {found[key]}" for key in wrong]

    def _kept_faults(self, connection: duckdb.DuckDBPyConnection) -> list[str]:
        """Each origin once, resolved where it has come in later."""
        faults = []
        for name, expected in self.origins.items():
            rows = connection.execute(f'select topic, partition, "offset", file, file_row, resolved_at is not null from {name}').fetchall()
            found = Counter({tuple(origin): count for *origin, _ in rows for count in [1]})
            is_resolved = {tuple(origin): resolved for *origin, resolved in rows}
            faults += [f"{name} {origin}: there {count} times" for origin, count in found.items() if count > 1]
            faults += [f"{name} {origin}: expected, is not there" for origin in expected.keys() - is_resolved.keys()]
            faults += [f"{name} {origin}: is there, not expected" for origin in is_resolved.keys() - expected.keys()]
            faults += [
                f"{name} {origin}: resolved is {is_resolved[origin]}"
                for origin in expected.keys() & is_resolved.keys()
                if expected[origin] != is_resolved[origin]
            ]
        return faults

    def _day_offset_faults(self, connection: duckdb.DuckDBPyConnection) -> list[str]:
        """Every row lies in its day's range: so a rebuild reads it again."""
        faults = []
        for stream, table in (("touchpoints", "touchpoint"), ("orders", "order_current")):
            faults += connection.execute(
                f'select r.day, r.partition, r."offset" from {table} as r left join day_offset as o '
                f"on o.topic = '{stream}' and o.day = r.day and o.partition = r.partition "
                f'and r."offset" between o.first_offset and o.last_offset where o.day is null'
            ).fetchall()
        return [f"day_offset does not have {fault}" for fault in faults]

    def _check_jobs(self) -> None:
        """Their counts are the books of their origins; what was not cut short has read all of its range."""
        counts: Counter[tuple[str, str]] = Counter()
        for row in self.store.jobs():
            asked = self.asked[row.id]
            counts.update({(asked.origin.value, name): count for name, count in row.counts.items()})
            if row.state is not JobState.DONE:
                continue
            assert row.done == row.total, f"{row} is done"
            if row.kind == "replay":
                assert asked.plan is not None
                ranges = [(self.log.held(partition), planned) for partition, planned, _ in asked.plan.ranges]
                assert row.counts["read"] == sum(planned.first <= m.offset() < planned.end for held, planned in ranges for m in held)
            elif row.kind == "backfill" and asked.days is None:
                assert row.counts["read"] == len(asked.rows)
        with self.store.cursor() as connection:
            books: Counter[tuple[str, str]] = Counter()
            for account in selected(connection, "from accounting"):
                books.update({(account["origin"], name): account[name] for name in ("read", *OUTCOMES)})
        assert +counts == Counter({key: count for key, count in books.items() if key[0] != "live" and count})
        assert books["live", "read"] == len(self.produced)

    def _check_against_one_batch(self) -> None:
        """The tables are those of one computation over all that was read, in the order of the log; rows of files come last."""
        self.met["batches"] += 1
        batch = self._fresh_reference()
        for reading, now in sorted(self.read.items(), key=lambda each: (each[0].file is not None, each[0].origin)):
            batch.process(reading.message.stream, reading.message, now)
        assert not (faults := differences(batch.tables(), self.reference.tables())), "\n".join(faults[:40])


def _readings(batch: EventBatch) -> Iterator[Reading]:
    for messages in batch.messages.messages.values():
        for message in messages:
            assert isinstance(message, Produced)
            yield Reading(message)


def _told(origin: str, stream: str, outcome: str, rebuilt: Collection[tuple[str, str]]) -> tuple[str, str, str]:
    """What a tombstone cleared can't be compared any more, so of dimensions a duplicate can't always be told from a new version."""
    is_vague = stream in ("customers", "products") or (origin, stream) in rebuilt
    return origin, stream, "valid" if is_vague and outcome in MERGED else outcome
