"""One random life of a worker: batches, crashes, restarts with other settings; at its commits every table is what the reference says."""

import json
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import duckdb

from tests.simulation.faults import FaultyConnection, Killed
from tests.simulation.history import DayHistory
from tests.simulation.log import MOST_MESSAGES, SimulatedLog
from tests.support.messages import WRITER_SCHEMAS, Produced
from tests.support.oracle_sql import selected
from tests.support.reference import Reference, Row, differences
from tests.support.streams import STREAMS, StreamOptions, random_options, random_stream
from worker.config import Settings
from worker.decode import Decoder, FileSchemas, ReportingZone
from worker.errors import PositionConflict, StoreError
from worker.events import EventBatch
from worker.pipeline import Pipeline
from worker.store import Store
from worker.tables import TABLES

ROWS = ("touchpoint", "order_current", "order_item", "order_tombstone", "customer", "product", "product_stock")
VIEWS = {"daily_users_running": "daily_users", "daily_sales_total": "daily_sales"}
OUTCOMES = ("accepted", "duplicate", "superseded", "rejected", "expired")
FAULTS = ("none",) * 4 + ("disk", "kill")
STATEMENTS = 80  # a commit has about so many


def writer_schemas(directory: Path) -> FileSchemas:
    """The simulation's writer schemas, as files."""
    files = {str(ref): directory / f"{ref}.avsc" for ref in WRITER_SCHEMAS}
    for ref, schema in WRITER_SCHEMAS.items():
        files[str(ref)].write_text(json.dumps(schema))
    return FileSchemas(files)


class Simulation:
    """A worker, its log and the reference, all made from one seed. Files are made in `directory`."""

    def __init__(self, seed: int, directory: Path, messages: int) -> None:
        self.random = Random(seed)
        streams = STREAMS if self.random.random() < 0.7 else STREAMS[:2]
        self.options = options = replace(random_options(seed, messages), streams=streams)
        self.produced = self._stream(seed, options)
        self.log = SimulatedLog(self.produced, self.random)
        self.now = self.produced[0].arrived_at
        self.schemas = writer_schemas(directory)
        self.file = directory / "0.duckdb"
        self.is_switching = self.random.random() < 0.4
        self.has_whole_ledger = not self.is_switching
        self.settings = self._settings(options.time_zone, has_retention=not self.is_switching and self.random.random() < 0.7)
        self.reference = Reference(
            reporting_time_zone=options.time_zone, reporting_currency=self.settings.reporting_currency, writer_schemas=WRITER_SCHEMAS
        )
        self.zone = ReportingZone(options.time_zone)
        self.history = DayHistory()
        self.kept: dict[str, list[tuple[Any, ...]]] = {"rejected": [], "expired": []}
        self.met: Counter[str] = Counter()
        self._open()

    def run(self) -> None:
        """Read the log to its end. Raises AssertionError at the first commit after which something is not as it should be."""
        while self.log.arrivals():
            self._let_messages_arrive()
            self._step(self._poll())
            if self.random.random() < 0.3:
                self.check()
            if self.random.random() < 0.1:
                self._restart()
        for _ in range(3):
            self.now += timedelta(minutes=2)
            self._step(self._poll())
        self.check()
        self.store.close()

    def check(self) -> None:
        """Compare the whole file with the reference."""
        self.met["checks"] += 1
        with self.store.cursor() as connection:
            names = [name for name in TABLES if name in self.settings.tables_on]
            names += [*ROWS, *(view for view, table in VIEWS.items() if table in names)]
            found = {name: selected(connection, f"from {name}") for name in names}
            faults = differences(self.reference.tables(), found)
            faults += self._accounting_faults(selected(connection, "from accounting"))
            faults += self._day_offset_faults(connection)
            faults += self._kept_faults(connection)
            faults += self.history.faults(connection, with_ledger=self.has_whole_ledger)
        assert not faults, "\n".join([f"{len(faults)} differences after commit {self.pipeline.state.commit_id}:", *faults[:40]])

    # What happens

    def _stream(self, seed: int, options: StreamOptions) -> list[Produced]:
        return random_stream(seed, options)

    def _settings(self, time_zone: str, has_retention: bool) -> Settings:
        lateness = self._one((timedelta(0), timedelta(hours=6), timedelta(days=1), timedelta(days=3)))
        topics = {stream.value: topic for stream, topic in self.log.topics().items()}
        return Settings.model_validate(
            {
                "store": {"path": self.file, "memory_limit": "256MB", "checkpoint_threshold": self._one(("1MB", "256MB"))},
                "kafka": {"topics": topics},
                "time": {"reporting_time_zone": time_zone, "allowed_lateness": lateness},
                "batch": {"max_messages": MOST_MESSAGES},
                "retention": {"days": lateness.days + self._one((1, 4)) if has_retention else None},
                "reporting_currency": self._one(("USD", "EUR")),
            }
        )

    def _open(self) -> None:
        self.store = Store(self.settings, self.now)
        decoder = Decoder(self.schemas, self.zone, self.settings.time.future_guard, self.log.topics())
        self.pipeline = Pipeline(self.log, decoder, self.store, self.settings)
        self.pipeline.start(self._tick)

    def _restart(self) -> None:
        """The worker ends well and starts again, perhaps with other tables switched off."""
        self.met["restarts"] += 1
        self.store.close()
        if self.is_switching:
            off = set(self.random.sample(sorted(TABLES), self._one((0, 1, 3))))
            for name, table in TABLES.items():  # what a table needs comes before it
                if off & set(table.needs):
                    off.add(name)
            self.settings = self.settings.model_copy(update={"tables": dict.fromkeys(off, False)})
            self.history.switched(self.reference.tables(), self.settings.tables_on)
        self._open()
        self.check()

    def _let_messages_arrive(self) -> None:
        """Time goes on until more messages are there, or just goes on."""
        arrivals = self.log.arrivals()
        ahead = arrivals[min(self._one((0, 5, 50, 300)), len(arrivals) - 1)]
        self.now = max(self.now, ahead) + self._one((timedelta(0), timedelta(seconds=1), timedelta(minutes=3)))
        self.log.visible_until = self.now

    def _poll(self) -> EventBatch:
        """What the log gives next. The pipeline lets messages go, the reference wants them."""
        self.polled = self.pipeline.poll()
        return self.pipeline.decode(self.polled, self.now)

    def _step(self, batch: EventBatch) -> None:
        """Commit a batch, whatever happens on the way; the reference follows if the file moved on."""
        before = self.pipeline.state.commit_id

        def step() -> None:
            self.pipeline.step(batch, self.now, self._tick)

        if not self._survived(step):
            step()
        commits = self.pipeline.state.commit_id - before
        assert commits in (0, 1), f"{commits} commits of one batch, the last is {before + commits}"
        if commits:
            self._committed()

    def _survived(self, commit: Callable[[], None]) -> bool:
        """Whatever happens to a commit: False if the disk fails, so that nothing was committed. After a death the next worker is there."""
        fault = self._one(FAULTS)
        connection = self.store._connection  # faults can't be put in from outside
        survivor = self.file.with_name(f"{int(self.file.stem) + 1}.duckdb") if fault == "kill" else None
        if fault != "none":
            statement, is_done = self.random.randint(1, STATEMENTS), self.random.random() < 0.5
            self.store._connection = FaultyConnection(connection, statement, survivor, self.file, is_done)  # type: ignore[assignment]
        try:
            commit()
        except (duckdb.Error, Killed, PositionConflict):
            if fault == "none":
                raise
            self.met["deaths"] += 1
            connection.close()
            self._move_to(survivor or self.file)
            self._open()
        except StoreError:
            self.met["failed commits"] += 1
            self.store._connection = connection
            return False
        except BaseException:
            self.store._connection = connection
            raise
        else:
            self.store._connection = connection
        return True

    def _move_to(self, file: Path) -> None:
        self.file = file
        store = self.settings.store.model_copy(update={"path": file})
        self.settings = self.settings.model_copy(update={"store": store})

    def _committed(self) -> None:
        """The reference follows the file: it processes what was read and seals what the file sealed."""
        for stream, messages in self.polled.messages.items():
            for message in messages:
                outcome = self.reference.process(stream.value, message, self.now)
                if outcome in self.kept:
                    self.kept[outcome].append((message.topic(), message.partition(), message.offset(), message.key(), message.value()))
        self._follow()

    def _follow(self) -> None:
        """The reference seals what the file sealed, and the history of days goes on."""
        self.met["commits"] += 1
        state = self.pipeline.state
        closed_before, sealed_before = state.watermark.closed_before, state.sealed_before
        if self.settings.retention.days is not None and closed_before is not None:
            assert sealed_before == closed_before - timedelta(days=self.settings.retention.days)
        if sealed_before is not None and sealed_before > self.reference.sealed_before:
            self.met["seals"] += 1
            self.reference.seal(sealed_before)
        self.history.committed(self.reference.tables(), self.settings.tables_on, closed_before, sealed_before)

    # What is compared

    def _accounting_faults(self, rows: list[Row]) -> list[str]:
        faults = [f"accounting {row['stream']}: read is not the sum" for row in rows if row["read"] != sum(row[name] for name in OUTCOMES)]
        expected = _told_apart(self.reference.accounting)
        found = _told_apart({(row["stream"], name): row[name] for row in rows for name in OUTCOMES})
        faults += [
            f"accounting {key}: expected {expected[key]}, is {found[key]}" for key in expected | found if expected[key] != found[key]
        ]
        conflicting = sum(row["conflicting_duplicates"] for row in rows)
        if conflicting != self.reference.conflicting_duplicates:
            faults.append(f"conflicting duplicates: expected {self.reference.conflicting_duplicates}, is {conflicting}")
        return faults

    def _kept_faults(self, connection: duckdb.DuckDBPyConnection) -> list[str]:
        faults = []
        for name, kept in self.kept.items():
            rows = connection.execute(f'select topic, partition, "offset", key, value from {name}').fetchall()
            if sorted(rows, key=repr) != sorted(kept, key=repr):
                faults.append(f"{name}: not the messages that were {name}, byte for byte")
        return faults

    def _day_offset_faults(self, connection: duckdb.DuckDBPyConnection) -> list[str]:
        """All that was accepted lies in the day's range, and so does what each order's row stands at, perhaps a duplicate."""
        rows = selected(connection, "from day_offset")
        found = {(row["day"], row["topic"], row["partition"]): (row["first_offset"], row["last_offset"], row["rows"]) for row in rows}
        faults = []
        for key in self.reference.day_offsets.keys() | found.keys():
            first, last, count = self.reference.day_offsets.get(key, (None, None, 0))
            has = found.get(key)
            if has is None or has[2] != count or (first is not None and last is not None and not has[0] <= first <= last <= has[1]):
                faults.append(f"day_offset {key}: expected {(first, last, count)}, is {has}")
        ranges = {(day, partition): (low, high) for (day, topic, partition), (low, high, _) in found.items() if topic == "orders"}
        for row in selected(connection, 'select day, order_id, partition, "offset" from order_current'):
            low, high = ranges[row["day"], row["partition"]]
            if not low <= row["offset"] <= high:
                faults.append(f"day_offset: order {row['order_id']} stands at {row['offset']}, outside {low} to {high}")
        return faults

    @property
    def _tick(self) -> float:
        return self.now.timestamp()

    def _one(self, choices: Any) -> Any:
        return self.random.choice(choices)


def _told_apart(accounting: Mapping[tuple[str, str], int]) -> Counter[tuple[str, str]]:
    """What a tombstone cleared can't be compared any more, so of dimensions a duplicate can't always be told from a new version."""
    told: Counter[tuple[str, str]] = Counter()
    for (stream, outcome), count in accounting.items():
        is_vague = stream in ("customers", "products") and outcome in ("accepted", "duplicate", "superseded")
        told[stream, "valid" if is_vague else outcome] += count
    return told
