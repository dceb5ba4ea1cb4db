"""The small shop of the operator's guide: eight days on two topics, with what comes late, twice, spoilt and too late.

Every day six visitors see a page and two of them buy, so that the guide's figures can be added up by eye.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from typing import Any

from tests.support.archives import arrow_schema, shop_dump, shop_select, write_parquet
from tests.support.messages import WRITERS, Produced, framed, order_item
from tests.support.messages import order as order_record
from tests.support.messages import touchpoint as touchpoint_record

TODAY = datetime(2026, 3, 8, 10, 20, tzinfo=UTC)
FIRST = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 8
CHANNELS = ("email", "paid", "organic")
ORDER, TOUCHPOINT, TOUCHPOINT_2 = 1, 2, 3  # schema ids; the worker is told of the last one later
SCHEMAS = {ORDER: "order.avsc", TOUCHPOINT: "touchpoint.avsc", TOUCHPOINT_2: "touchpoint-2.avsc"}

Record = dict[str, Any]


def on_time() -> Iterator[Produced]:
    """Eight days as they went, three messages of a writer whose schema nobody has registered, and two that are no orders."""
    for number in range(DAYS):
        day = FIRST + timedelta(days=number)
        for partition, record in enumerate(pages(day)):
            yield message("touchpoints", TOUCHPOINT, record, partition % 2)
        for partition, record in enumerate(orders(day)):
            yield message("orders", ORDER, record, partition)
    friday = datetime(2026, 3, 6, 18, tzinfo=UTC)
    for number in range(3):
        record = page(f"n{number}", "c7", friday + timedelta(minutes=number), page_type="product", browser="Firefox")
        yield message("touchpoints", TOUCHPOINT_2, record, 1)
    whole = message("orders", ORDER, order("o063", "c3", friday), 1)
    yield replace(whole, value_bytes=(whole.value_bytes or b"")[:-9])
    yield message("orders", ORDER, order("o064", "", friday), 1)


def late() -> Iterator[Produced]:
    """For closed days: a new customer's page and order, a refund; and a page of yesterday that comes twice."""
    fifth = datetime(2026, 3, 5, 12, tzinfo=UTC)
    (shirts, _), (again, *_) = orders(datetime(2026, 3, 3, tzinfo=UTC)), pages(datetime(2026, 3, 7, tzinfo=UTC))
    refund = shirts | {"status": "REFUNDED", "refunded_cents": 2000, "updated_at": TODAY - timedelta(minutes=20)}
    for record in (page("e056", "c9", fifth), again):
        yield message("touchpoints", TOUCHPOINT, record, sent=TODAY)
    for record in (order("o053", "c9", fifth + timedelta(minutes=5)), refund):
        yield message("orders", ORDER, record, sent=TODAY)


def too_late() -> Iterator[Produced]:
    """For the first day, a week later."""
    noon = FIRST + timedelta(hours=12)
    yield message("touchpoints", TOUCHPOINT, page("e016", "c3", noon), sent=TODAY)
    yield message("orders", ORDER, order("o013", "c3", noon), sent=TODAY)


def pages(day: datetime) -> Iterator[Record]:
    """Each of six customers sees one, from nine o'clock on; those who come by a paid link cost 25 cents."""
    for number in range(6):
        channel = CHANNELS[number % 3]
        cost = 25 if channel == "paid" else None
        at = day + timedelta(hours=9, minutes=10 * number)
        yield page(f"e{day:%d}{number}", f"c{number}", at, channel=channel, cost_cents=cost)


def orders(day: datetime) -> Iterator[Record]:
    """Two shirts at 20.00, and a mug at 8.00."""
    shirts = order_item(product_id="shirt", category="clothes", quantity=2, unit_price_cents=2000)
    mug = order_item(product_id="mug", category="kitchen", unit_price_cents=800)
    yield order(f"o{day:%d}1", "c1", day + timedelta(hours=9, minutes=30), items=[shirts])
    yield order(f"o{day:%d}2", "c2", day + timedelta(hours=10), items=[mug])


def page(event_id: str, customer_id: str, at: datetime, **fields: Any) -> Record:
    return touchpoint_record(event_id=event_id, customer_id=customer_id, session_id=f"{customer_id} {at:%m-%d}", occurred_at=at, **fields)


def order(order_id: str, customer_id: str, at: datetime, **fields: Any) -> Record:
    return order_record(order_id=order_id, customer_id=customer_id, ordered_at=at, **fields)


def message(topic: str, schema_id: int, record: Record, partition: int = 0, sent: datetime | None = None) -> Produced:
    """Sent when it happened, if nothing else is said."""
    sent = sent or record.get("updated_at") or record["occurred_at"]
    key = record.get("order_id") or record["customer_id"]
    at = int(sent.timestamp() * 1000)
    return Produced(topic, framed(schema_id, record), key.encode(), (), at, partition_number=partition)


def write_schemas(directory: Path) -> None:
    """Those of SCHEMAS."""
    directory.mkdir()
    for schema_id, name in SCHEMAS.items():
        (directory / name).write_text(json.dumps(WRITERS[schema_id], indent=1))


def write_next_schema(file: Path) -> None:
    """An order's schema in which somebody has given a field another name."""
    written = WRITERS[ORDER]
    fields = [field | {"name": "currency_code"} if field["name"] == "currency" else field for field in written["fields"]]
    file.write_text(json.dumps(written | {"fields": fields}, indent=1))


def write_archive(directory: Path) -> None:
    """The last four days of February, from before the log begins; one of the orders is spoilt."""
    days = [FIRST - timedelta(days=number) for number in (4, 3, 2, 1)]
    (*good, last) = chain.from_iterable(map(orders, days))
    spoilt = last | {"customer_id": ""}
    write_parquet(directory / "orders.parquet", [*good, spoilt], arrow_schema("orders"))
    write_parquet(directory / "touchpoints.parquet", list(chain.from_iterable(map(pages, days))), arrow_schema("touchpoints"))


CONFIGURATION = """\
[store]
path = "shop.duckdb"

[kafka]
bootstrap_servers = "{bootstrap}"

[registry.files]
1 = "schemas/order.avsc"
2 = "schemas/touchpoint.avsc"

[serve]
port = 0
"""
SEALED = """
[retention]
days = 4
"""


def write_directory(directory: Path, bootstrap: str, *, has_sealed: bool) -> None:
    """The directory in which an operator stands: settings, schemas, archives. The file is still to be made."""
    (directory / "tidemark.toml").write_text(CONFIGURATION.format(bootstrap=bootstrap) + (SEALED if has_sealed else ""))
    write_schemas(directory / "schemas")
    write_next_schema(directory / "order-next.avsc")
    write_archive(directory / "archive")
    shop_dump(directory / "dump")
    (directory / "orders.sql").write_text(shop_select())
