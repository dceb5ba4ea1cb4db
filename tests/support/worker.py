"""A whole worker in one thread, fed message by message: a log in memory, the real decoder, the real file. Time is an argument.

    worker.feed(touch("c1", "2026-03-05"), close="2026-03-07")
    assert worker.rows("daily_users", "day", "new_customers") == [("2026-03-05", 1)]

Every `feed` is one commit. Moments are written as UTC, "2026-03-05 08:30"; a day alone is its noon.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from types import SimpleNamespace
from typing import Any

from tests.support.fake_source import FakeLog
from tests.support.messages import WRITER_SCHEMAS, Produced, framed, order_item
from tests.support.messages import order as order_record
from tests.support.messages import touchpoint as touchpoint_record
from worker.committer import StepResult
from worker.config import Settings
from worker.decode import Decoder, NoSchema, ReportingZone
from worker.decode.framing import SchemaRef
from worker.decode.reasons import Reason
from worker.events import Origin, Stream
from worker.pipeline import Pipeline
from worker.store import Store
from worker.verify import TableResult, switched_on, verify

__all__ = ["Worker", "customer", "line", "moment", "order", "product", "tombstone", "touch"]

_SCHEMA_IDS = {"orders": 1, "touchpoints": 3, "customers": 5, "products": 6}
_AFTER_IDLE = 61.0  # seconds: partitions at their end hold nobody back any more
_event_numbers = count(1)
_directory = TemporaryDirectory()

line = order_item


def moment(text: str) -> datetime:
    """ "2026-03-05 08:30" in UTC; a day alone is its noon."""
    at = datetime.fromisoformat(text)
    return (datetime.combine(at, time(12)) if len(text) == 10 else at).replace(tzinfo=UTC)


def touch(customer_id: str | None, at: str, *, partition: int = 0, **fields: Any) -> Produced:
    """A page view of a session of its own customer, by email; every one with an id of its own."""
    record = touchpoint_record(event_id=f"e{next(_event_numbers):06}", customer_id=customer_id, session_id=f"session of {customer_id}")
    return _message("touchpoints", record | {"occurred_at": moment(at)} | fields, moment(at), partition)


def order(order_id: str, at: str, *, updated: str | None = None, partition: int = 0, **fields: Any) -> Produced:
    """A completed order of c1 in USD: one piece at 10.00, without cost. `at` is ordered_at."""
    record = order_record(order_id=order_id, ordered_at=moment(at), updated_at=moment(updated or at), **fields)
    return _message("orders", record, record["updated_at"], partition)


def customer(customer_id: str, updated: str, **fields: Any) -> Produced:
    return _message("customers", {"customer_id": customer_id, "updated_at": moment(updated), **fields}, moment(updated), 0)


def product(product_id: str, updated: str, **fields: Any) -> Produced:
    return _message("products", {"product_id": product_id, "updated_at": moment(updated), **fields}, moment(updated), 0)


def tombstone(stream: str, key: str, at: str, *, partition: int = 0) -> Produced:
    """A null value, with its key and the message's timestamp."""
    timestamp_ms = int(moment(at).timestamp() * 1000)
    return Produced(stream, None, key.encode(), (), timestamp_ms, arrived_at=moment(at), partition_number=partition)


def _message(stream: str, record: Mapping[str, Any], at: datetime, partition: int) -> Produced:
    value = framed(_SCHEMA_IDS[stream], record)
    return Produced(stream, value, b"key", (), int(at.timestamp() * 1000), arrived_at=at, partition_number=partition)


class WriterSchemas:
    """A SchemaSource of the tests' writers, less those `missing`: as if nobody had registered them yet."""

    def __init__(self) -> None:
        self.missing: set[SchemaRef] = set()

    def text(self, ref: SchemaRef) -> str | NoSchema:
        schema = None if ref in self.missing else WRITER_SCHEMAS.get(ref if isinstance(ref, int) else str(ref))
        return json.dumps(schema) if schema else NoSchema(Reason.UNKNOWN_SCHEMA, f"schema {ref} is not known")


class Worker:
    """`settings` are sections of the configuration, such as time={"allowed_lateness": "2d"}. `now` only goes forward, with the messages."""

    def __init__(self, directory: Path, *, partitions: int = 1, **settings: Any) -> None:
        self.log = FakeLog()
        for stream in Stream:
            self.log.create(stream.value, partitions)
        self.schemas = WriterSchemas()
        self._sections = settings
        self.settings = _settings(directory / "worker.duckdb", settings)
        shutil.copyfile(_new_file(self.settings.time.reporting_time_zone, self.settings.reporting_currency), self.settings.store.path)
        self.now = datetime(2026, 1, 1, tzinfo=UTC)
        self._tick = 0.0
        self._open()

    def feed(self, *messages: Produced, close: str | None = None, origin: Origin = Origin.LIVE) -> StepResult:
        """Commit the messages; then, with `close`, let the watermark pass that day's end, so that it and all before it are closed."""
        self.now = max(self.now, *(message.arrived_at for message in messages))
        self.log.put(messages)
        result = self.step(origin)
        if close is not None:
            self.close_day(close)
        return result

    def step(self, origin: Origin = Origin.LIVE) -> StepResult:
        """Commit what is in the log."""
        polled = self.pipeline.poll()
        batch = self.pipeline.decode(replace(polled, origin=origin), self.now)
        if origin is not Origin.LIVE:
            return self.pipeline.committer.commit(batch, self.now)
        return self.pipeline.step(batch, self.now, self._tick)

    def close_day(self, day: str) -> StepResult:
        """An order that does not count is updated late enough; all other partitions are idle."""
        limits = self.settings.time
        end = datetime.combine(date.fromisoformat(day) + timedelta(days=1), time(0), limits.zone)
        reached = end.astimezone(UTC) + limits.allowed_lateness + limits.watermark_delay
        self._tick += _AFTER_IDLE
        mover = order_record(order_id="moves the watermark", ordered_at=reached, status="PLACED")
        return self.feed(_message("orders", mover, reached, 0))

    def query(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Rows with their days and moments written as text."""
        with self.store.cursor() as connection:
            rows = connection.execute(sql, parameters or None).fetchall()
        return [tuple(_written(value) for value in row) for row in rows]

    def rows(self, table: str, *columns: str) -> list[tuple[Any, ...]]:
        """The table's rows in order of those columns (all, if none is named)."""
        return self.query(f"select {', '.join(columns) or '*'} from {table} order by all")

    def revision(self, day: str) -> int | None:
        """None while the day is open."""
        ((revision,),) = self.query("select revision from day_state where day = $day", day=day)
        assert revision is None or isinstance(revision, int)
        return revision

    def ledger(self, day: str) -> SimpleNamespace:
        """The one ledger row of the day."""
        return self._only("ledger", day)

    def ledger_sales(self, day: str) -> SimpleNamespace:
        """The one ledger_sales row of the day."""
        return self._only("ledger_sales", day)

    def accounting(self, stream: str) -> dict[str, int]:
        """What became of the stream's messages, without zeros."""
        names = ("read", "accepted", "duplicate", "superseded", "rejected", "expired", "conflicting_duplicates")
        rows = self.query(f"select {', '.join(names)} from accounting where stream = $stream", stream=stream)
        return {name: count for row in rows for name, count in zip(names, row, strict=True) if count}

    def differences(self) -> list[TableResult]:
        """What verify finds wrong."""
        with self.store.cursor() as connection:
            return [result for result in verify(connection, switched_on(connection)) if not result.agrees]

    def tamper(self, sql: str, **parameters: Any) -> None:
        """Change the file behind the worker's back."""
        with self.store.cursor() as connection:
            connection.execute(sql, parameters or None)

    def reopen(self, **settings: Any) -> None:
        """End well and start again, with these sections of the configuration changed."""
        self.store.close()
        self._sections |= settings
        self.settings = _settings(self.settings.store.path, self._sections)
        self._open()

    def crash(self) -> None:
        """What a kill leaves of the file and its write-ahead log is what the next worker finds."""
        path = self.settings.store.path
        survivor = path.with_name(f"after {path.name}")
        for suffix in ("", ".wal"):
            if Path(f"{path}{suffix}").exists():
                shutil.copyfile(f"{path}{suffix}", f"{survivor}{suffix}")
        self.store.close()
        survivor.replace(path)
        if (log := Path(f"{survivor}.wal")).exists():
            log.replace(f"{path}.wal")
        self._open()

    def decoder(self) -> Decoder:
        """Another one of its kind."""
        zone = ReportingZone(self.settings.time.reporting_time_zone)
        return Decoder(self.schemas, zone, self.settings.time.future_guard, self.settings.kafka.topics)

    def close(self) -> None:
        self.store.close()

    def _open(self) -> None:
        topics = self.settings.kafka.topics
        self.store = Store(self.settings, self.now)
        self.pipeline = Pipeline(self.log.source(topics), self.decoder(), self.store, self.settings)
        self.pipeline.start(self._tick)

    def _only(self, table: str, day: str) -> SimpleNamespace:
        with self.store.cursor() as connection:
            found = connection.execute(f"from {table} where day = $day", {"day": day})
            names = [column[0] for column in found.description or ()]
            (row,) = found.fetchall()
        return SimpleNamespace(**dict(zip(names, row, strict=True)))


@cache
def _new_file(time_zone: str, currency: str) -> Path:
    """A file as the first start makes it; to copy it takes a tenth of the time."""
    path = Path(_directory.name) / f"{len(list(Path(_directory.name).iterdir()))}.duckdb"
    made = {"store": {"path": path}, "time": {"reporting_time_zone": time_zone}, "reporting_currency": currency}
    Store(Settings.model_validate(made), datetime(2026, 1, 1, tzinfo=UTC)).close()
    return path


def _settings(path: Path, sections: Mapping[str, Any]) -> Settings:
    own: dict[str, Any] = {
        "store": {"path": path, "memory_limit": "256MB"},
        "kafka": {"topics": {stream: stream.value for stream in Stream}},
    }
    merged = {name: own.get(name, {}) | section if isinstance(section, Mapping) else section for name, section in sections.items()}
    return Settings.model_validate(own | merged)


def _written(value: Any) -> Any:
    """Days as 2026-03-05, moments as 2026-03-05 08:30:00."""
    return value.isoformat(" ") if isinstance(value, datetime) else value.isoformat() if isinstance(value, date) else value
