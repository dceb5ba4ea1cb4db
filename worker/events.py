"""What flows: messages (bytes at topic, partition, offset), events (decoded, valid, columnar), rejected messages, positions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import NamedTuple, NoReturn, Protocol, TypeAlias

import pyarrow as pa


class Stream(StrEnum):
    """A kind of event; each is read from one topic."""

    ORDERS = "orders"
    TOUCHPOINTS = "touchpoints"
    CUSTOMERS = "customers"
    PRODUCTS = "products"


class Origin(StrEnum):
    """The way on which a message came in; accounting is kept apart for each."""

    LIVE = "live"
    REPLAY = "replay"
    BACKFILL = "backfill"
    DLQ = "dlq"
    READMIT = "readmit"


class Outcome(StrEnum):
    """What became of a message. read = the sum of all five, for each origin and stream."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    SUPERSEDED = "superseded"
    REJECTED = "rejected"
    EXPIRED = "expired"


class Stage(StrEnum):
    """Where on its way a message was rejected."""

    FRAME = "frame"  # the bytes around the Avro body: magic byte, schema id, header GUID, null value
    SCHEMA = "schema"  # the writer schema: unknown, of another stream, refused
    DECODE = "decode"  # the Avro body
    VALIDATE = "validate"  # values beyond the contract's limits


class Partition(NamedTuple):
    """One partition of one topic."""

    topic: str
    number: int


class NextOffset(NamedTuple):
    """The first offset of a partition that is not yet committed, with the leader epoch of the message before it, if known."""

    offset: int
    leader_epoch: int | None = None


Position: TypeAlias = Mapping[Partition, NextOffset]


class Message(Protocol):
    """One message as librdkafka hands it out (`confluent_kafka.Message` fits); methods, for only some are asked of most messages."""

    def topic(self) -> str | None: ...
    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...
    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...
    def headers(self) -> list[tuple[str, bytes | None]] | None: ...
    def set_headers(self, headers: list[tuple[str, bytes | None]]) -> None: ...
    def timestamp(self) -> tuple[int, int]:
        """(type, milliseconds since the epoch); type 0: the message has none."""
        ...


@dataclass(frozen=True, slots=True)
class KeptMessage:
    """A message as the file kept it (tables rejected and expired): a Message, with its id there and where it came from."""

    id: int
    stream: Stream
    topic_name: str
    topic_id: str
    number: int
    place: int
    key_bytes: bytes | None
    value_bytes: bytes | None
    header_list: Sequence[tuple[str, bytes | None]]
    timestamp_ms: int | None
    file: str | None = None
    row: int | None = None

    def topic(self) -> str:
        return self.topic_name

    def partition(self) -> int:
        return self.number

    def offset(self) -> int:
        return self.place

    def key(self) -> bytes | None:
        return self.key_bytes

    def value(self) -> bytes | None:
        return self.value_bytes

    def headers(self) -> list[tuple[str, bytes | None]]:
        return list(self.header_list)

    def set_headers(self, headers: list[tuple[str, bytes | None]]) -> None:
        """A decoder may take headers to pieces; what was kept stays as it is."""

    def timestamp(self) -> tuple[int, int]:
        return (0, -1) if self.timestamp_ms is None else (1, self.timestamp_ms)


@dataclass(frozen=True, slots=True)
class FileRow:
    """A row of a file, in place of a message. `number` and `place` are -1 where the file doesn't prove its partition and offset.

    `row` counts from 0, as DuckDB's file_row_number does. The value is the row as JSON, made when it is asked for: most never are.
    """

    topic_name: str
    number: int
    place: int
    file: str
    row: int
    as_json: Callable[[], bytes]

    def topic(self) -> str:
        return self.topic_name

    def partition(self) -> int:
        return self.number

    def offset(self) -> int:
        return self.place

    def key(self) -> None:
        return None

    def value(self) -> bytes:
        return self.as_json()

    def headers(self) -> None:
        return None

    def set_headers(self, headers: list[tuple[str, bytes | None]]) -> None:
        """A row has no headers."""

    def timestamp(self) -> tuple[int, int]:
        return 0, -1


@dataclass(frozen=True, slots=True)
class MessageBatch:
    """What one poll of a source brought, in order of arrival within each stream.

    `position` holds, for each partition read from, the next offset after these messages (it may lie past the last one: transaction
    markers take offsets too). `at_end` are the partitions that were read to their end at the time of the poll; `log_end_offsets` are
    the ends that the broker last told.
    """

    messages: Mapping[Stream, Sequence[Message]]
    position: Position = field(default_factory=dict)
    at_end: frozenset[Partition] = frozenset()
    log_end_offsets: Mapping[Partition, int] = field(default_factory=dict)
    origin: Origin = Origin.LIVE

    def __len__(self) -> int:
        return sum(map(len, self.messages.values()))

    def without_bytes(self) -> "MessageBatch":
        """The same batch, its messages only counted: decoded, they take half a kilobyte each for nothing where none can expire."""
        return replace(self, messages={stream: _Counted(len(messages)) for stream, messages in self.messages.items()})


class _Counted(Sequence[Message]):
    """So many messages that were let go."""

    def __init__(self, count: int) -> None:
        self._count = count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: int | slice) -> NoReturn:
        raise LookupError("the messages of this batch were let go once they were decoded")


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that could not become an event, with all that is needed to look at it, mend it and replay it.

    `reason` is a short label from a closed set (a metric's label), `detail` the exact error. Where the message came from a file,
    `file` and `row` are set, the value is the row as JSON, and partition and offset are -1 unless the file proves them. One that was
    kept before, and is rejected again, has its id there and the id of the topic that it was of then.
    """

    stream: Stream
    topic: str
    partition: int
    offset: int
    stage: Stage
    reason: str
    detail: str
    value: bytes | None
    key: bytes | None = None
    headers: Sequence[tuple[str, bytes | None]] = ()
    timestamp_ms: int | None = None
    file: str | None = None
    row: int | None = None
    kept_id: int | None = None
    topic_id: str | None = None


_STRING = pa.string()
_MICROS = pa.timestamp("us")  # UTC
_CENTS = pa.int64()

# Where a row came from. seq: its index in MessageBatch.messages[stream]; partition and offset are -1 where a file has none.
_ORIGIN = [("seq", pa.int64()), ("partition", pa.int32()), ("offset", pa.int64())]

ITEM_TYPE = pa.struct(
    [
        pa.field("product_id", _STRING, nullable=False),
        pa.field("category", _STRING),
        pa.field("subcategory", _STRING),
        pa.field("quantity", pa.int32(), nullable=False),
        pa.field("unit_price_cents", _CENTS, nullable=False),
        pa.field("discount_cents", _CENTS, nullable=False),
        pa.field("unit_cost_cents", _CENTS),
    ]
)


def _schema(columns: Sequence[tuple[str, pa.DataType]], nullable: Sequence[str] = ()) -> pa.Schema:
    return pa.schema([pa.field(name, kind, nullable=name in nullable) for name, kind in columns])


# event_uuid is the event_id where that is a canonical UUID (lower case, hyphens), and event_text is null; for any other text
# event_uuid is a 128-bit hash of it and event_text the id itself. The two together are the id, exactly.
TOUCHPOINTS = _schema(
    [
        *_ORIGIN,
        ("day", pa.date32()),  # of occurred_at in the reporting time zone, as is the hour
        ("hour", pa.int8()),
        ("event_uuid", pa.uuid()),
        ("event_text", _STRING),
        ("customer_id", _STRING),
        ("session_id", _STRING),
        ("occurred_at", _MICROS),
        ("event_type", _STRING),
        ("channel", _STRING),
        ("campaign", _STRING),
        ("product_id", _STRING),
        ("device", _STRING),
        ("cost_cents", _CENTS),
        ("review_score", pa.int32()),
        ("page_type", _STRING),
        ("browser", _STRING),
    ],
    nullable=["event_text", "customer_id", "campaign", "product_id", "device", "cost_cents", "review_score", "page_type", "browser"],
)

# The columns from `units` on are derived once, at decode, by the formulas of docs/tables.md.
ORDERS = _schema(
    [
        *_ORIGIN,
        ("day", pa.date32()),  # of ordered_at in the reporting time zone, as is the hour
        ("hour", pa.int8()),
        ("order_id", _STRING),
        ("customer_id", _STRING),
        ("ordered_at", _MICROS),
        ("updated_at", _MICROS),
        ("status", _STRING),
        ("currency", _STRING),
        ("customer_segment", _STRING),
        ("region", _STRING),
        ("country", _STRING),
        ("state", _STRING),
        ("city", _STRING),
        ("discount_cents", _CENTS),
        ("tax_cents", _CENTS),
        ("shipping_cents", _CENTS),
        ("refunded_cents", _CENTS),
        ("items", pa.list_(ITEM_TYPE)),
        ("units", pa.int64()),
        ("gross_cents", _CENTS),
        ("discount_total_cents", _CENTS),
        ("net_cents", _CENTS),
        ("cost_cents", _CENTS),
        ("units_without_cost", pa.int64()),
    ],
    nullable=["customer_segment", "region", "country", "state", "city"],
)

CUSTOMERS = _schema(
    [
        *_ORIGIN,
        ("customer_id", _STRING),
        ("customer_unique_id", _STRING),
        ("name", _STRING),
        ("email", _STRING),
        ("city", _STRING),
        ("state", _STRING),
        ("country", _STRING),
        ("signed_up_at", _MICROS),
        ("updated_at", _MICROS),
    ],
    nullable=["customer_unique_id", "name", "email", "city", "state", "country", "signed_up_at"],
)

PRODUCTS = _schema(
    [
        *_ORIGIN,
        ("day", pa.date32()),  # of updated_at in the reporting time zone
        ("product_id", _STRING),
        ("name", _STRING),
        ("category", _STRING),
        ("subcategory", _STRING),
        ("unit_cost_cents", _CENTS),
        ("stock_level", _CENTS),
        ("updated_at", _MICROS),
    ],
    nullable=["name", "category", "subcategory", "unit_cost_cents", "stock_level"],
)

# A null value in the topic of orders, customers or products: `id` is the message key, updated_at the message's timestamp.
TOMBSTONES = _schema([*_ORIGIN, ("id", _STRING), ("updated_at", _MICROS)])

EVENT_SCHEMAS: Mapping[Stream, pa.Schema] = {
    Stream.ORDERS: ORDERS,
    Stream.TOUCHPOINTS: TOUCHPOINTS,
    Stream.CUSTOMERS: CUSTOMERS,
    Stream.PRODUCTS: PRODUCTS,
}


@dataclass(frozen=True, slots=True)
class EventBatch:
    """A decoded MessageBatch: every message of it is an event, a tombstone or rejected.

    `events[stream]` has the schema EVENT_SCHEMAS[stream], `tombstones[stream]` has TOMBSTONES; rows are in order of arrival. A stream
    without rows may be absent. `messages` are the batch's own, for the bytes of rows that turn out to be expired.
    """

    messages: MessageBatch
    events: Mapping[Stream, pa.RecordBatch]
    tombstones: Mapping[Stream, pa.RecordBatch]
    rejected: Sequence[Rejected]


def no_rows(schema: pa.Schema) -> pa.RecordBatch:
    """An empty batch of the schema."""
    empty = [pa.array([], field.type) if field.type != pa.uuid() else _no_uuids() for field in schema]
    return pa.RecordBatch.from_arrays(empty, schema=schema)


def _no_uuids() -> pa.Array:
    return pa.ExtensionArray.from_storage(pa.uuid(), pa.array([], pa.binary(16)))
