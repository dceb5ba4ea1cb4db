"""Archives as others write them: Parquet by pyarrow, Avro by fastavro, names as Connect gives them. And what a feed makes of them."""

import gzip
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from operator import itemgetter
from pathlib import Path
from typing import Any, TypeAlias

import fastavro
import pyarrow as pa
import pyarrow.parquet as pq

from tests.support.messages import WRITER_SCHEMAS, Produced
from tests.support.reference.decoding import FIELDS, TIMES
from worker.backfill import ArchiveFeed, ArchivePlan, plan_archive
from worker.decode import ReportingZone
from worker.events import EventBatch, Stream

Record: TypeAlias = Mapping[str, Any]

NOW = datetime(2026, 4, 1, tzinfo=UTC)
FUTURE_GUARD = timedelta(hours=1)
TOPICS = {stream: stream.value for stream in Stream}
AT = 1_772_700_000_000_000  # 2026-03-05T08:40:00Z in micros

_ARROW = {"string": pa.string(), "int": pa.int32(), "long": pa.int64()}


def touchpoint(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A touchpoint's record; times are UTC micros."""
    fields = {"event_id": f"e{number}", "session_id": "s1", "occurred_at": AT + number, "event_type": "page_view", "channel": "email"}
    return fields | changes


def order(number: int = 1, **changes: Any) -> dict[str, Any]:
    """A completed order of one item."""
    amounts = {"discount_cents": 0, "tax_cents": 0, "shipping_cents": 0, "refunded_cents": 0}
    ids = {"order_id": f"o{number}", "customer_id": "c1", "ordered_at": AT + number, "updated_at": AT + number}
    return ids | {"status": "COMPLETED", "currency": "USD", "items": [item()]} | amounts | changes


def item(**changes: Any) -> dict[str, Any]:
    return {"product_id": "p1", "quantity": 1, "unit_price_cents": 1000, "discount_cents": 0} | changes


def arrow_schema(stream: str) -> pa.Schema:
    """The stream's columns as Spark or a sink would write them: everything nullable, times in UTC."""
    fields = []
    for word in FIELDS[stream].split(","):
        name, kind = word.replace("?", "").split()
        fields.append((name, pa.timestamp("us", "UTC") if name in TIMES else _ARROW[kind]))
    if stream == "orders":
        fields.append(("items", pa.list_(pa.struct(list(arrow_schema("items"))))))
    return pa.schema(fields)


def write_parquet(path: Path, records: Sequence[Record], schema: pa.Schema, **options: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([dict(record) for record in records], schema), path, **options)
    return path


def touchpoints_parquet(path: Path, numbers: Iterable[int], **options: Any) -> Path:
    """Touchpoints e<number>."""
    return write_parquet(path, [touchpoint(number) for number in numbers], arrow_schema("touchpoints"), **options)


def write_avro(path: Path, records: Sequence[Record], schema: Any, codec: str = "deflate", rows_a_block: int | None = None) -> Path:
    """`rows_a_block`: else what fastavro finds good."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        writer = fastavro.write.Writer(file, without_logical_types(schema), codec=codec)
        for number, record in enumerate(records, 1):
            writer.write(dict(record))
            if rows_a_block and number % rows_a_block == 0:
                writer.flush()
        writer.flush()
    return path


def packed(path: Path, ending: str) -> Path:
    """The file compressed as a whole, in its place."""
    data, there = path.read_bytes(), path.with_name(path.name + ending)
    path.unlink()
    if ending == ".gz":
        there.write_bytes(gzip.compress(data))
    else:
        with pa.CompressedOutputStream(str(there), "zstd") as out:
            out.write(data)
    return there


def sink_path(directory: Path, topic: str, partition: int, first: int, last: int | None = None, ending: str = ".parquet") -> Path:
    """Where Connect's S3 sink puts a file; with `last`, the HDFS sink."""
    end = "" if last is None else f"+{last:010}"
    return directory / "topics" / topic / f"partition={partition}" / f"{topic}+{partition}+{first:010}{end}{ending}"


def shop_dump(directory: Path) -> Path:
    """A shop's tables as CSV files: prices in dollars, local times, one line an item."""
    directory.mkdir()
    orders = [
        "order_id,customer,bought,state",
        "a,17,2026-03-05 08:00:00,done",
        "b,18,2026-03-05 23:30:00,done",
        "c,17,2026-03-06 09:00:00,gone",
    ]
    lines = ["order_id,line,sku,price", "a,1,p1,10.00", "b,1,p2,2.50", "a,2,p2,2.49", "c,1,p1,-1.00"]
    (directory / "orders.csv").write_text("\n".join(orders))
    (directory / "lines.csv").write_text("\n".join(lines))
    return directory


def shop_select() -> str:
    """The SELECT that docs/operations.md shows for it."""
    guide = Path(__file__).resolve().parents[2] / "docs" / "operations.md"
    shown = re.search(r"```sql\n(-- One order a row.*?)```", guide.read_text(encoding="utf-8"), re.DOTALL)
    assert shown is not None
    return shown[1]


def without_logical_types(schema: Any) -> Any:
    """Times stay plain integers."""
    if isinstance(schema, list):
        return [without_logical_types(branch) for branch in schema]
    if isinstance(schema, dict):
        return {name: without_logical_types(part) for name, part in schema.items() if name != "logicalType"}
    return schema


def written_record(message: Produced) -> tuple[int | str, Record] | None:
    """The writer schema's id and the record as it was written; None where the bytes are no record that a file could hold."""
    schema_id, body = _frame(message)
    writer = WRITER_SCHEMAS.get(schema_id)
    if writer is None or writer["name"].lower() + "s" != message.stream:
        return None
    rest = io.BytesIO(body)
    try:
        record = fastavro.schemaless_reader(rest, without_logical_types(writer), None)
    # fastavro raises errors of many kinds for bytes that are no record.
    except Exception:
        return None
    return None if rest.read() or not isinstance(record, dict) else (schema_id, record)


def _frame(message: Produced) -> tuple[int | str, bytes]:
    value = message.value_bytes or b""
    return (int.from_bytes(value[1:5], "big"), value[5:]) if value[:1] == b"\0" else ("", b"")


def as_they_came(batch: EventBatch, stream: Stream) -> list[dict[str, Any]]:
    """A stream's events, of which a batch has those of a day together."""
    return sorted(batch.events[stream].to_pylist(), key=itemgetter("seq")) if stream in batch.events else []


@dataclass
class Read:
    """All that a feed brought."""

    batches: list[EventBatch] = field(default_factory=list)
    resume_points: list[Any] = field(default_factory=list)
    done: int = 0

    def events(self, stream: Stream) -> list[dict[str, Any]]:
        """The events as they came, each with its event_id, without seq."""
        return [_event(row) for batch in self.batches for row in as_they_came(batch, stream)]

    def ids(self) -> list[str]:
        """Of touchpoints and orders."""
        return [row.get("event_id") or row["order_id"] for stream in (Stream.ORDERS, Stream.TOUCHPOINTS) for row in self.events(stream)]

    def places(self) -> list[tuple[int, int]]:
        """Partition and offset of touchpoints and orders."""
        return [(row["partition"], row["offset"]) for stream in (Stream.ORDERS, Stream.TOUCHPOINTS) for row in self.events(stream)]

    def rejected(self) -> list[Any]:
        return [rejected for batch in self.batches for rejected in batch.rejected]

    def reasons(self) -> list[tuple[int | None, str]]:
        """Row and reason of what was rejected."""
        return [(rejected.row, str(rejected.reason)) for rejected in self.rejected()]


def _event(row: dict[str, Any]) -> dict[str, Any]:
    del row["seq"]
    if "event_uuid" in row:
        uuid, text = row.pop("event_uuid"), row.pop("event_text")
        row["event_id"] = str(uuid) if text is None else text
    return row


def plan(directory: Path, **options: Any) -> ArchivePlan:
    return plan_archive(directory, TOPICS, **options)


def read(directory: Path, *, max_rows: int = 100_000, zone: str = "UTC", resume_point: Any = None, **options: Any) -> Read:
    """What a feed brings, from its beginning or a resume point on."""
    feed = ArchiveFeed(plan(directory, **options), ReportingZone(zone), FUTURE_GUARD, max_rows, resume_point)
    found = Read()
    while portion := feed.next(NOW):
        assert sum(map(len, portion.batch.messages.messages.values())) <= max_rows
        found.batches.append(portion.batch)
        found.resume_points.append(portion.resume_point)
        found.done = portion.done
    feed.close()
    return found
