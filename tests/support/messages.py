"""Messages as producers of the outside world write them: Avro in Confluent framing, by several writer schemas per stream."""

import io
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeAlias

import fastavro

Record: TypeAlias = Mapping[str, Any]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SCHEMA_ID_HEADER = "__value_schema_id"
TEXT, MAYBE_TEXT = "string", ["null", "string"]
LONG, MAYBE_LONG = "long", ["null", "long"]
INT, MAYBE_INT = "int", ["null", "int"]
MICROS = {"type": "long", "logicalType": "timestamp-micros"}
MAYBE_MICROS = ["null", MICROS]


def avro_record(name: str, /, **fields: Any) -> dict[str, Any]:
    """A record schema of the namespace tidemark.events; a field that may be null defaults to null."""
    return {
        "type": "record",
        "name": name,
        "namespace": "tidemark.events",
        "fields": [
            {"name": field, "type": kind} | ({"default": None} if isinstance(kind, list) and kind[0] == "null" else {})
            for field, kind in fields.items()
        ],
    }


_ITEM = {
    "product_id": TEXT,
    "category": MAYBE_TEXT,
    "subcategory": MAYBE_TEXT,
    "quantity": INT,
    "unit_price_cents": LONG,
    "discount_cents": LONG,
    "unit_cost_cents": MAYBE_LONG,
}
_ORDER = {
    "order_id": TEXT,
    "customer_id": TEXT,
    "ordered_at": MICROS,
    "updated_at": MICROS,
    "status": TEXT,
    "currency": TEXT,
    "customer_segment": MAYBE_TEXT,
    "region": MAYBE_TEXT,
    "country": MAYBE_TEXT,
    "state": MAYBE_TEXT,
    "city": MAYBE_TEXT,
    "discount_cents": LONG,
    "tax_cents": LONG,
    "shipping_cents": LONG,
    "refunded_cents": LONG,
}
_TOUCHPOINT = {
    "event_id": TEXT,
    "customer_id": MAYBE_TEXT,
    "session_id": TEXT,
    "occurred_at": MICROS,
    "event_type": TEXT,
    "channel": TEXT,
    "campaign": MAYBE_TEXT,
    "product_id": MAYBE_TEXT,
    "device": MAYBE_TEXT,
    "cost_cents": MAYBE_LONG,
    "review_score": MAYBE_INT,
}
_CUSTOMER = {
    "customer_id": TEXT,
    "customer_unique_id": MAYBE_TEXT,
    "name": MAYBE_TEXT,
    "email": MAYBE_TEXT,
    "city": MAYBE_TEXT,
    "state": MAYBE_TEXT,
    "country": MAYBE_TEXT,
    "signed_up_at": MAYBE_MICROS,
    "updated_at": MICROS,
}
_PRODUCT = {
    "product_id": TEXT,
    "name": MAYBE_TEXT,
    "category": MAYBE_TEXT,
    "subcategory": MAYBE_TEXT,
    "unit_cost_cents": MAYBE_LONG,
    "stock_level": MAYBE_LONG,
    "updated_at": MICROS,
}


def _items(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": avro_record("OrderItem", **fields)}


def _reversed(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fields[name] for name in reversed(list(fields))}


def _without_state_and_city(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: kind for name, kind in fields.items() if name not in ("state", "city")}


# What each writer writes. The first of a stream is its contract's first version; the others came by the registry's BACKWARD rule:
# fields added, left out, reordered, narrower numbers, optional fields that this writer always fills.
WRITERS: Mapping[int, dict[str, Any]] = {
    1: avro_record("Order", **_ORDER, items=_items(_ITEM)),
    2: avro_record("Touchpoint", **_TOUCHPOINT),
    3: avro_record("Touchpoint", **_TOUCHPOINT, page_type=MAYBE_TEXT, browser=MAYBE_TEXT),
    4: avro_record("Order", items=_items({"gift": "boolean"} | _reversed(_ITEM)), source=TEXT, **_reversed(_ORDER)),
    5: avro_record("Customer", **_CUSTOMER),
    6: avro_record("Product", **_PRODUCT),
    7: avro_record("Touchpoint", tags={"type": "array", "items": "string"}, **_reversed(_TOUCHPOINT), weight="double", browser=TEXT),
    8: avro_record("Order", **_without_state_and_city(_ORDER) | {"country": TEXT}, items=_items(_ITEM)),
    9: avro_record("Product", **(_PRODUCT | {"stock_level": INT, "unit_cost_cents": MAYBE_INT})),
    10: avro_record("Customer", **_reversed(_CUSTOMER), phone=MAYBE_TEXT),
}
WRITERS_OF: Mapping[str, tuple[int, ...]] = {"orders": (1, 4, 8), "touchpoints": (2, 3, 7), "customers": (5, 10), "products": (6, 9)}
FILLED_IN = {"gift": False, "source": "web", "tags": ["a", "b"], "weight": 0.5, "browser": "", "country": "", "stock_level": 0}


def guid_of(schema_id: int) -> uuid.UUID:
    """The GUID by which a header names the schema."""
    return uuid.UUID(int=0xABCD << 112 | schema_id)


# By id and by GUID, as Reference and the worker's schema sources are given them.
WRITER_SCHEMAS: dict[int | str, dict[str, Any]] = dict(WRITERS.items())
WRITER_SCHEMAS.update({str(guid_of(number)): schema for number, schema in WRITERS.items()})


@dataclass(frozen=True, slots=True)
class Produced:
    """A message at its place in a topic; has the methods of confluent_kafka's. `timestamp_ms` None: the message has none."""

    stream: str
    value_bytes: bytes | None
    key_bytes: bytes | None = None
    header_list: tuple[tuple[str, bytes | None], ...] = ()
    timestamp_ms: int | None = None
    arrived_at: datetime = EPOCH
    partition_number: int = 0
    offset_number: int = 0

    def topic(self) -> str:
        return self.stream

    def partition(self) -> int:
        return self.partition_number

    def offset(self) -> int:
        return self.offset_number

    def key(self) -> bytes | None:
        return self.key_bytes

    def value(self) -> bytes | None:
        return self.value_bytes

    def headers(self) -> list[tuple[str, bytes | None]] | None:
        return list(self.header_list) or None

    def set_headers(self, headers: list[tuple[str, bytes | None]]) -> None:
        raise AssertionError("these headers are always legible")

    def timestamp(self) -> tuple[int, int]:
        return (0, 0) if self.timestamp_ms is None else (1, self.timestamp_ms)


@dataclass(frozen=True, slots=True)
class Draft:
    """A message before it has its place in the topic. `value`, where it is set, stands instead of the encoded record."""

    stream: str
    arrives_at: datetime
    schema_id: int = 0
    record: dict[str, Any] | None = None
    key: bytes | None = None
    timestamp_ms: int | None = None
    value: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()

    def encoded(self) -> bytes | None:
        """The value: as it was set, or the record as its writer writes it."""
        if self.record is None or self.value is not None:
            return self.value
        has_guid = any(name == SCHEMA_ID_HEADER for name, _ in self.headers)
        return (avro_body if has_guid else framed)(self.schema_id, self.record)


def avro_body(schema_id: int, record: Record) -> bytes:
    """The Avro bytes without framing; what the writer's schema does not have is left out."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, WRITERS[schema_id], _written(WRITERS[schema_id], record))
    return out.getvalue()


def item_body(item: Record) -> bytes:
    """The Avro bytes of one item by the first writer of orders, who writes the items last."""
    schema = WRITERS[1]["fields"][-1]["type"]["items"]
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, _written(schema, item))
    return out.getvalue()


def long_body(number: int) -> bytes:
    """The Avro bytes of a long."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, {"type": "long"}, number)
    return out.getvalue()


def _written(schema: Mapping[str, Any], record: Record) -> dict[str, Any]:
    """The record's fields, with FILLED_IN where this writer must write something and the record has nothing."""
    written = {}
    for field in schema["fields"]:
        name, is_nullable = field["name"], isinstance(field["type"], list)
        value = record.get(name)
        written[name] = FILLED_IN[name] if value is None and not is_nullable else value
        if name == "items":
            written[name] = [_written(field["type"]["items"], item) for item in record["items"]]
    return written


def framed(schema_id: int, record: Record) -> bytes:
    """A message value: a zero, the schema id in four bytes, the Avro body."""
    return b"\0" + schema_id.to_bytes(4, "big") + avro_body(schema_id, record)


def guid_header(schema_id: int) -> tuple[str, bytes]:
    """The header that names the schema where the value has no prefix."""
    return SCHEMA_ID_HEADER, b"\1" + guid_of(schema_id).bytes


def touchpoint(**fields: Any) -> dict[str, Any]:
    """A touchpoint's record; what is not given is the same for all."""
    return {"event_id": "e1", "session_id": "s1", "occurred_at": EPOCH, "event_type": "page_view", "channel": "email"} | fields


def order_item(**fields: Any) -> dict[str, Any]:
    """An order item's record: one piece at 10.00."""
    return {"product_id": "p1", "quantity": 1, "unit_price_cents": 1000, "discount_cents": 0} | fields


def order(**fields: Any) -> dict[str, Any]:
    """A completed order's record of one item; `updated_at` is `ordered_at` where it is not given."""
    amounts = {"discount_cents": 0, "tax_cents": 0, "shipping_cents": 0, "refunded_cents": 0}
    record = {"order_id": "o1", "customer_id": "c1", "status": "COMPLETED", "currency": "USD", "items": [order_item()]} | amounts | fields
    return {"updated_at": record.get("ordered_at")} | record
