"""From one message to one row: framing, Avro by fastavro, the limits of the contract, and what is derived once."""

import io
import uuid
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol, TypeAlias
from zoneinfo import ZoneInfo

import fastavro

Row: TypeAlias = dict[str, Any]

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
EARLIEST = datetime(1980, 1, 1, tzinfo=UTC)
MOST_QUANTITY = 10**6
MOST_AMOUNT = 10**12
MOST_ORDER = 10**15

# The fields of each stream's record: a name, an Avro type, and "?" where it may be null.
FIELDS = {
    "touchpoints": """event_id string, customer_id string?, session_id string, occurred_at long, event_type string, channel string,
        campaign string?, product_id string?, device string?, cost_cents long?, review_score int?, page_type string?, browser string?""",
    "orders": """order_id string, customer_id string, ordered_at long, updated_at long, status string, currency string,
        customer_segment string?, region string?, country string?, state string?, city string?, discount_cents long, tax_cents long,
        shipping_cents long, refunded_cents long""",
    "items": """product_id string, category string?, subcategory string?, quantity int, unit_price_cents long, discount_cents long,
        unit_cost_cents long?""",
    "customers": """customer_id string, customer_unique_id string?, name string?, email string?, city string?, state string?,
        country string?, signed_up_at long?, updated_at long""",
    "products": """product_id string, name string?, category string?, subcategory string?, unit_cost_cents long?, stock_level long?,
        updated_at long""",
}
RECORD_NAMES = {"touchpoints": "Touchpoint", "orders": "Order", "items": "OrderItem", "customers": "Customer", "products": "Product"}
TIMES = ("occurred_at", "ordered_at", "updated_at", "signed_up_at")


class Invalid(Exception):
    """The message is rejected; the text says why."""


class Message(Protocol):
    """What is asked of a message."""

    def topic(self) -> str | None: ...
    def partition(self) -> int | None: ...
    def offset(self) -> int | None: ...
    def key(self) -> bytes | None: ...
    def value(self) -> bytes | None: ...
    def headers(self) -> list[tuple[str, bytes | None]] | None: ...
    def timestamp(self) -> tuple[int, int]: ...


def decoded_event(stream: str, message: Message, writer_schemas: Mapping[int | str, Any], zone: ZoneInfo, latest: datetime) -> Row:
    """The valid event of a message with a value: its fields by name, times as naive UTC datetimes; `day` and `hour` where they matter.

    `writer_schemas` is keyed by schema id (int) and by GUID (str); `latest` is the last moment that is not beyond the future guard.
    Raises: Invalid.
    """
    row = _record(stream, message, writer_schemas)
    _check_ids(row)
    for item in row.get("items", ()):
        _check_ids(item)
        _check_amounts(item)
        if not 0 <= item["quantity"] <= MOST_QUANTITY:
            raise Invalid(f"quantity {item['quantity']}")
    _check_amounts(row)
    if row.get("review_score") is not None and not 1 <= row["review_score"] <= 5:
        raise Invalid(f"review_score {row['review_score']}")
    for name in TIMES:
        if row.get(name) is not None:
            row[name] = _checked_time(row[name], latest, limited=name != "signed_up_at")
    if stream == "orders":
        _derive(row)
    happened_at = row.get("occurred_at") or row.get("ordered_at") or row["updated_at"]
    row["day"], row["hour"] = local_day_and_hour(happened_at, zone)
    return row


def decoded_tombstone(message: Message, latest: datetime) -> Row:
    """The id and updated_at of a message without a value. Raises: Invalid."""
    try:
        identity = (message.key() or b"").decode("utf-8")
    except UnicodeDecodeError as error:
        raise Invalid("the key is not UTF-8") from error
    if not identity:
        raise Invalid("a tombstone without a key")
    kind, milliseconds = message.timestamp()
    if kind == 0:
        raise Invalid("a tombstone without a timestamp")
    return {"id": identity, "updated_at": _checked_time(milliseconds * 1000, latest, limited=True)}


def local_day_and_hour(moment: datetime, zone: ZoneInfo) -> tuple[date, int]:
    """The calendar day and the hour of a naive UTC moment in a time zone."""
    local = moment.replace(tzinfo=UTC).astimezone(zone)
    return local.date(), local.hour


def _record(stream: str, message: Message, writer_schemas: Mapping[int | str, Any]) -> Row:
    schema_id, body = _frame(message)
    if schema_id not in writer_schemas:
        raise Invalid(f"unknown schema {schema_id}")
    writer = writer_schemas[schema_id]
    if writer["name"].split(".")[-1] != RECORD_NAMES[stream]:
        raise Invalid(f"a {writer['name']} among the {stream}")
    stream_of_bytes = io.BytesIO(body)
    try:
        record = fastavro.schemaless_reader(stream_of_bytes, _without_logical_types(writer), _reader_schema(stream))
    # fastavro raises many kinds of errors for bytes that are no record; each of them means: rejected.
    except Exception as error:
        raise Invalid(f"not readable: {error!r}") from error
    if stream_of_bytes.read():
        raise Invalid("trailing bytes")
    assert isinstance(record, dict)
    return record


def _frame(message: Message) -> tuple[int | str, bytes]:
    """The schema id or GUID, and the Avro body: a header holds 1 and a GUID, or else the value begins with 0 and a four-byte id."""
    value = message.value()
    assert value is not None
    for name, header in message.headers() or ():
        if name == "__value_schema_id" and header is not None:
            if len(header) != 17 or header[0] != 1:
                raise Invalid("a header that is no GUID")
            return str(uuid.UUID(bytes=header[1:])), value
    if len(value) < 5 or value[0] != 0:
        raise Invalid("no magic byte or no schema id")
    return int.from_bytes(value[1:5], "big"), value[5:]


def _reader_schema(stream: str) -> Any:
    fields: list[Row] = []
    for word in FIELDS[stream].split(","):
        name, kind = word.split()
        fields.append({"name": name, "type": ["null", kind[:-1]], "default": None} if kind.endswith("?") else {"name": name, "type": kind})
    if stream == "orders":
        fields.append({"name": "items", "type": {"type": "array", "items": _reader_schema("items")}})
    return {"type": "record", "name": RECORD_NAMES[stream], "namespace": "tidemark.events", "fields": fields}


def _without_logical_types(schema: Any) -> Any:
    """Times are read as plain integers: a datetime could not hold every one of them."""
    if isinstance(schema, list):
        return [_without_logical_types(branch) for branch in schema]
    if isinstance(schema, dict):
        return {name: _without_logical_types(part) for name, part in schema.items() if name != "logicalType"}
    return schema


def _check_ids(row: Row) -> None:
    for name, value in row.items():
        if name.endswith("_id") and value == "":
            raise Invalid(f"{name} is empty")


def _check_amounts(row: Row) -> None:
    for name, value in row.items():
        if (name.endswith("_cents") or name == "stock_level") and value is not None and not 0 <= value <= MOST_AMOUNT:
            raise Invalid(f"{name} {value}")


def _checked_time(micros: int, latest: datetime, limited: bool) -> datetime:
    if limited and micros < (EARLIEST - EPOCH) // timedelta(microseconds=1):
        raise Invalid(f"{micros} is before 1980")
    if limited and micros > (latest - EPOCH) // timedelta(microseconds=1):
        raise Invalid(f"{micros} is beyond the future guard")
    return (EPOCH + timedelta(microseconds=micros)).replace(tzinfo=None)


def _derive(order: Row) -> None:
    items = order["items"]
    order["units"] = sum(item["quantity"] for item in items)
    order["gross_cents"] = sum(item["quantity"] * item["unit_price_cents"] for item in items)
    order["discount_total_cents"] = order["discount_cents"] + sum(item["discount_cents"] for item in items)
    order["net_cents"] = order["gross_cents"] - order["discount_total_cents"] - order["refunded_cents"]
    order["cost_cents"] = sum(item["quantity"] * (item["unit_cost_cents"] or 0) for item in items)
    order["units_without_cost"] = sum(item["quantity"] for item in items if item["unit_cost_cents"] is None)
    if order["gross_cents"] > MOST_ORDER or order["cost_cents"] > MOST_ORDER:
        raise Invalid("gross or cost beyond the limit of an order")
