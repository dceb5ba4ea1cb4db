"""Seeded random streams of messages, made to collide: few ids, few moments, versions that tie, deletions that come before their orders.

The same seed and options give the same messages. How a message is spoiled stands in tests/support/garbage.py.
"""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from tests.support.garbage import spoiled
from tests.support.messages import EPOCH, WRITER_SCHEMAS, WRITERS_OF, Draft, Produced, guid_header
from tests.support.reference import Reference

Choice = TypeVar("Choice")

STREAMS = ("touchpoints", "orders", "customers", "products")
MICROSECOND = timedelta(microseconds=1)

# Time zones with something to go wrong, and the first of the days around it.
SCENES = (
    ("UTC", date(2026, 3, 1)),
    ("Europe/Berlin", date(2025, 10, 20)),  # the hour from 02:00 comes twice on the 26th
    ("Europe/Berlin", date(2026, 3, 23)),  # the hour from 02:00 is left out on the 29th
    ("America/Sao_Paulo", date(2018, 10, 28)),  # the hour from midnight is left out on 4 November
    ("America/Sao_Paulo", date(2018, 2, 10)),  # the last hour of the 17th comes twice
    ("Asia/Kathmandu", date(2026, 1, 10)),  # five hours and three quarters ahead
    ("Pacific/Apia", date(2011, 12, 24)),  # the 30th is left out
    ("Australia/Lord_Howe", date(2025, 4, 1)),  # half an hour comes twice on the 6th
    ("America/St_Johns", date(2010, 11, 1)),  # the clock went back at one minute past midnight
)

UUIDS = ("550e8400-e29b-41d4-a716-446655440000", "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff")
ODD_IDS = ("(none)", "null", "é", "e\u0301", "o'brien", 'q"uote', "new\nline", "tab\t", " ", "😀", "\U0010ffff", "nul\0", "x" * 3000)
CUSTOMERS = ("c1", "c2", "c3", "c4", "C1", "c1 ", "c5", *ODD_IDS, UUIDS[0], UUIDS[0].upper())
PRODUCTS = ("p1", "p2", "P1", "p3", "o'brien", "ö", "(none)", UUIDS[1])
STATUSES = ("PLACED", *("COMPLETED",) * 6, "REFUNDED", "REFUNDED", "CANCELLED", "DELETED", "completed", "ON_HOLD")
CURRENCIES = ("USD", "USD", "USD", "EUR", "usd", "")
CHANGING_HOURS = (time(0, 30), time(1, 30), time(2), time(2, 30), time(2, 59, 59, 999_999), time(3), time(23, 30))
USUAL_MOMENTS = (time(9), time(9, 0, 0, 1), time(15), time(20, 15, 0, 500_000))
NAMES = (None, None, "(none)", "", "a", "b", "é")
EVENT_TYPES = (
    *("page_view", "page_view", "product_view", "cart_add", "checkout_start", "purchase", "ad_click", "impression"),
    *("email_sent", "email_open", "email_click", "review", "Purchase", "", "something else"),
)
CHANNELS = ("email", "email", "paid", "organic", "(none)", "")
AMOUNTS = (0, 0, 1, 99, 500, 1999, 250_000, 10**12 - 1, 10**12)
PRICES = (0, 1, 999, 1000, 123_456, 10**9)


@dataclass(frozen=True)
class StreamOptions:
    """What the stream is like. Events happen on `days` days from `first_day` on; an event comes at most `days_late` days late."""

    time_zone: str = "UTC"
    first_day: date = date(2026, 3, 1)
    days: int = 12
    days_late: int = 24
    messages: int = 400
    partitions: int = 3
    garbage: float = 0.06
    streams: Sequence[str] = STREAMS


def random_options(seed: int, messages: int = 400) -> StreamOptions:
    """One of SCENES and other circumstances, chosen by the seed."""
    random = Random(seed)
    time_zone, first_day = random.choice(SCENES)
    return StreamOptions(time_zone, first_day, days=random.choice((3, 12, 20)), messages=messages, partitions=random.choice((1, 2, 4)))


def random_stream(seed: int, options: StreamOptions, made_by: "type[Shop] | None" = None) -> list[Produced]:
    """Messages of all streams in the order of arrival, each at its offset of its partition; `made_by` another shop than the usual one."""
    random = Random(seed)
    shop = (made_by or Shop)(random, options)
    drafts = [draft for _ in range(options.messages) for draft in shop.drafts()][: options.messages]
    drafts = [spoiled(random, draft) if random.random() < options.garbage else draft for draft in drafts]
    return list(_placed(random, sorted(drafts, key=lambda draft: draft.arrives_at), options.partitions))


def without_conflicts(messages: Iterable[Produced], time_zone: str) -> Iterator[Produced]:
    """Less the touchpoints whose id was there with other content: which of two is kept depends on the way that they come."""
    reference = Reference(reporting_time_zone=time_zone, reporting_currency="USD", writer_schemas=WRITER_SCHEMAS)
    for message in messages:
        before = reference.conflicting_duplicates
        reference.process(message.stream, message, datetime.max.replace(tzinfo=UTC) - timedelta(days=1))
        if reference.conflicting_duplicates == before:
            yield message


def _placed(random: Random, drafts: Sequence[Draft], partitions: int) -> Iterator[Produced]:
    """Some topics are partitioned by key, others at random; logs begin anywhere and have gaps where transactions ended."""
    is_keyed = {stream: random.random() < 0.5 for stream in STREAMS}
    next_offset = {(stream, partition): random.choice((0, 0, 7)) for stream in STREAMS for partition in range(partitions)}
    for draft in drafts:
        partition = sum(draft.key or b"") % partitions if is_keyed[draft.stream] else random.randrange(partitions)
        offset = next_offset[draft.stream, partition]
        next_offset[draft.stream, partition] = offset + random.choice((1,) * 19 + (3,))
        yield Produced(
            stream=draft.stream,
            value_bytes=draft.encoded(),
            key_bytes=draft.key,
            header_list=draft.headers,
            timestamp_ms=draft.timestamp_ms,
            arrived_at=draft.arrives_at,
            partition_number=partition,
            offset_number=offset,
        )


class Shop:
    """Makes up what happens. Remembers what it told, to tell it again."""

    def __init__(self, random: Random, options: StreamOptions) -> None:
        self.random = random
        self.options = options
        self.zone = ZoneInfo(options.time_zone)
        self.event_ids = list(UUIDS)
        self.told: list[Draft] = []

    def drafts(self) -> list[Draft]:
        """Something new happens, or something told before is told again."""
        if self.told and self.random.random() < 0.08:
            return [self._again(self.random.choice(self.told))]
        stream = self._skewed(self.options.streams)
        made = {"orders": self._order, "touchpoints": self._touchpoint, "customers": self._customer, "products": self._product}[stream]()
        self.told += made
        return made

    def _again(self, draft: Draft) -> Draft:
        """The same bytes once more, or the same content by another writer, or the same id with something else changed."""
        draft = replace(draft, arrives_at=draft.arrives_at + self._lateness())
        if draft.record is None or self.random.random() < 0.4:
            return draft
        record = dict(draft.record)
        change = self.random.randrange(4)
        if change == 1 and draft.stream == "touchpoints":
            record |= {"cost_cents": 77, "channel": self._one(CHANNELS)}
        if change == 2 and draft.stream in ("touchpoints", "orders"):
            name = "occurred_at" if draft.stream == "touchpoints" else "ordered_at"
            record[name] += timedelta(days=1) * self.random.choice((-1, 1))
        if change == 3:
            record |= {"city": "changed"}
        return self._draft(draft.stream, record, draft.key, draft.arrives_at)

    def _touchpoint(self) -> list[Draft]:
        occurred_at = self._moment()
        record: dict[str, Any] = {
            "event_id": self._event_id(),
            "customer_id": self._one((None, self._skewed(CUSTOMERS))),
            "session_id": self._one(("s1", "s2", "s3", "S1", "o'brien", "😀", UUIDS[0])),
            "occurred_at": occurred_at,
            "event_type": self._one(EVENT_TYPES),
            "channel": self._one(CHANNELS),
            "campaign": self._one((None, None, "spring", "(none)", "")),
            "product_id": self._one((None, self._one(PRODUCTS))),
            "device": self._one(NAMES),
            "cost_cents": self._one((None, *AMOUNTS)),
            "review_score": self._one((None, None, 1, 2, 5)),
            "page_type": self._one(NAMES),
            "browser": self._one(NAMES),
        }
        return [self._event("touchpoints", record, record["event_id"], occurred_at)]

    def _order(self) -> list[Draft]:
        """Some versions of one order, perhaps with deletions between them; ids return, so lives of orders overlap."""
        ordered_at = self._moment()
        order_id = self._one(
            (*("o1", "O1", "o2", "o'1", "ö", UUIDS[2]), *(f"o{self.random.randrange(self.options.messages)}" for _ in range(6)))
        )
        record: dict[str, Any] = {
            "order_id": order_id,
            "customer_id": self._skewed(CUSTOMERS),
            "ordered_at": ordered_at,
            "updated_at": ordered_at,
            "currency": self._one(CURRENCIES),
            **{name: self._one(NAMES) for name in ("customer_segment", "region", "country", "state", "city")},
            "items": [self._item() for _ in range(self.random.choice((0, 1, 1, 2, 2, 5, 40)))],
        }
        told = []
        for _ in range(self.random.choice((1, 1, 2, 3, 4))):
            record = record | {name: self._one(AMOUNTS) for name in ("discount_cents", "tax_cents", "shipping_cents", "refunded_cents")}
            record["status"] = self._one(STATUSES)
            told += [self._event("orders", record, order_id, record["updated_at"])]
            if self.random.random() < 0.1:
                deletion = self._tombstone("orders", order_id, record["updated_at"])
                told += [deletion, replace(told[-1], arrives_at=deletion.arrives_at + self._lateness())]
            later = self._one((timedelta(0), MICROSECOND, timedelta(milliseconds=1), timedelta(hours=30)))
            record = record | {"updated_at": record["updated_at"] + later}
        return told

    def _item(self) -> dict[str, Any]:
        return {
            "product_id": self._one(PRODUCTS),
            "category": self._one(NAMES),
            "subcategory": self._one(NAMES),
            "quantity": self._one((0, 1, 1, 2, 3, 100)),
            "unit_price_cents": self._one(PRICES),
            "discount_cents": self._one(AMOUNTS),
            "unit_cost_cents": self._one((None, *PRICES)),
        }

    def _customer(self) -> list[Draft]:
        updated_at = self._moment()
        record: dict[str, Any] = {
            "customer_id": self._skewed(CUSTOMERS),
            **{name: self._one(NAMES) for name in ("customer_unique_id", "name", "email", "city", "state", "country")},
            "customer_unique_id": self._one((None, "u1", "U1")),
            "signed_up_at": self._one((None, updated_at - timedelta(days=400))),
            "updated_at": updated_at,
        }
        return self._dimension("customers", record, record["customer_id"])

    def _product(self) -> list[Draft]:
        record: dict[str, Any] = {
            "product_id": self._one(PRODUCTS),
            **{name: self._one(NAMES) for name in ("name", "category", "subcategory")},
            "unit_cost_cents": self._one((None, *PRICES)),
            "stock_level": self._one((None, 0, 1, 5, 12, 10**9)),
            "updated_at": self._moment(),
        }
        return self._dimension("products", record, record["product_id"])

    def _dimension(self, stream: str, record: dict[str, Any], identity: str) -> list[Draft]:
        if self.random.random() < 0.15:
            return [self._tombstone(stream, identity, record["updated_at"])]
        return [self._event(stream, record, identity, record["updated_at"])]

    def _event(self, stream: str, record: dict[str, Any], identity: str, happened_at: datetime) -> Draft:
        return self._draft(stream, record, identity.encode(), happened_at + self._lateness())

    def _draft(self, stream: str, record: dict[str, Any], key: bytes | None, arrives_at: datetime) -> Draft:
        """The record by one of its stream's writers; the schema's id stands before it, or its GUID in a header."""
        schema_id = self._one(WRITERS_OF[stream])
        headers = (guid_header(schema_id),) if self.random.random() < 0.2 else ()
        more_headers = (("trace", b"1"),) if self.random.random() < 0.1 else ()
        timestamp_ms = int(arrives_at.timestamp() * 1000)
        return Draft(stream, arrives_at, schema_id, record, key, timestamp_ms, headers=headers or more_headers)

    def _tombstone(self, stream: str, identity: str, near: datetime) -> Draft:
        """A deletion at a moment (in whole milliseconds) that is often just that of a version."""
        deleted_at = near + self._one((timedelta(0), timedelta(0), timedelta(milliseconds=1), timedelta(hours=1), timedelta(days=3)))
        timestamp_ms = (deleted_at - EPOCH) // timedelta(milliseconds=1)
        return Draft(stream, deleted_at + self._lateness(), key=identity.encode(), timestamp_ms=timestamp_ms)

    def _event_id(self) -> str:
        """Fresh UUIDs mostly, some written otherwise, some texts, and now and then one that was there before."""
        kind = self.random.random()
        if kind < 0.12:
            return self._one(self.event_ids)
        fresh = str(uuid.UUID(int=self.random.getrandbits(128)))
        if kind > 0.7:
            fresh = self._one((fresh.upper(), fresh.replace("-", ""), f"{{{fresh}}}", f"urn:uuid:{fresh}", f" {fresh}"))
        if kind > 0.85:
            fresh = self._one((f"e{self.random.randrange(50)}", *ODD_IDS))
        self.event_ids.append(fresh)
        return fresh

    def _moment(self) -> datetime:
        """An instant on one of the days: at or beside midnight, in the hours when clocks are changed, at a few instants, or any."""
        day = self.options.first_day + timedelta(days=self.random.randrange(self.options.days))
        kind = self.random.random()
        if kind < 0.3:
            at, beside = time(0), self._one((-MICROSECOND, timedelta(0), MICROSECOND))
        elif kind < 0.8:
            at, beside = self._one((*CHANGING_HOURS, *USUAL_MOMENTS, *USUAL_MOMENTS)), timedelta(0)
        else:
            at, beside = time(12), timedelta(seconds=self.random.uniform(-43_200, 43_200))
        local = datetime.combine(day, at, self.zone).replace(fold=self.random.randrange(2))
        return local.astimezone(UTC) + beside

    def _lateness(self) -> timedelta:
        """Mostly minutes, sometimes weeks; a producer's clock that is ahead makes it negative, now and then beyond the future guard."""
        kind = self.random.random()
        if kind < 0.05:
            return -timedelta(minutes=self.random.choice((5, 50, 50, 90)))
        if kind < 0.65:
            return timedelta(minutes=self.random.uniform(0, 20))
        if kind < 0.85:
            return timedelta(days=self.random.uniform(0, 2))
        return timedelta(days=self.random.uniform(0, self.options.days_late))

    def _one(self, choices: Sequence[Choice]) -> Choice:
        return self.random.choice(choices)

    def _skewed(self, choices: Sequence[Choice]) -> Choice:
        """The earlier the likelier."""
        return self.random.choices(choices, [1 / (place + 1) for place in range(len(choices))])[0]
