"""What messages meet between the demo's shop and the worker: an old and a new writer, delay, repetition, damage."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import numpy as np

from worker.demo.avro import Encode, framed
from worker.demo.broker import Messages, Outgoing
from worker.demo.orders import Sent
from worker.demo.visits import DAY, SECOND
from worker.events import Stream
from worker.resources import schema_path

LATE, LATEST = 0.02, 20 * DAY
TWICE = 0.01
SPOILT = 0.0012
_RENEWAL = 20 * DAY  # so long before the end, the desktop site begins to write the second version of touchpoint

ORDER, TOUCHPOINT, CUSTOMER, PRODUCT, TOUCHPOINT_2 = range(1, 6)  # schema ids
_SCHEMA_OF = {Stream.ORDERS: ORDER, Stream.TOUCHPOINTS: TOUCHPOINT, Stream.CUSTOMERS: CUSTOMER, Stream.PRODUCTS: PRODUCT}
_ADDED = ("page_type", "browser")  # the last two fields of the second version

_DEVICE = 8  # its place in the row


def writer_schemas() -> dict[int, Any]:
    """The schemas that the demo's messages are written with, by schema id."""
    names = {ORDER: "order", TOUCHPOINT_2: "touchpoint", CUSTOMER: "customer", PRODUCT: "product"}
    schemas: dict[int, Any] = {number: json.loads(schema_path(name).read_text()) for number, name in names.items()}
    second = schemas[TOUCHPOINT_2]
    first = second | {"fields": [field for field in second["fields"] if field["name"] not in _ADDED]}
    return schemas | {TOUCHPOINT: first}


def deliver(
    rng: np.random.Generator,
    sent: Mapping[Stream, Iterable[Sent]],
    end: int,
    happened: Counter[str],
    late_share: float = LATE,
    latest: int = LATEST,
) -> Messages:
    """Messages in order of arrival, none after `end`; late ones by a day up to `latest` microseconds. `happened` counts what is done."""
    whole, spoilt = _written(rng, sent, end)
    count = len(whole)
    at = np.array(whole.at)
    is_event = np.array([stream in (Stream.ORDERS, Stream.TOUCHPOINTS) for stream in whole.streams])
    arrival = at + (rng.exponential(2, count) * SECOND).astype(np.int64)
    late = np.flatnonzero(is_event & (rng.random(count) < late_share))
    room = np.minimum(latest, end - at[late])
    least = np.minimum(DAY, room // 2)
    arrival[late] += least + (rng.power(0.6, len(late)) * (room - least)).astype(np.int64)
    twice = np.flatnonzero(is_event & (rng.random(count) < TWICE))
    again = arrival[twice] + (rng.lognormal(5, 3, len(twice)) * SECOND).astype(np.int64)
    arrivals = np.concatenate([arrival, again, np.array(spoilt.at, np.int64)]).clip(max=end - 1)
    order = np.argsort(arrivals, kind="stable")
    source = np.concatenate([np.arange(count), twice, np.arange(count, count + len(spoilt))])[order]
    happened.update(whole.streams)
    happened.update(messages=len(order), late=len(late), twice=len(twice), spoilt=len(spoilt))
    return (whole + spoilt).arranged(source.tolist(), arrivals[order].tolist())


def _written(rng: np.random.Generator, sent: Mapping[Stream, Iterable[Sent]], end: int) -> tuple[Messages, Messages]:
    """What was sent as bytes; and copies of a few of them that got damaged."""
    schemas = writer_schemas()
    encoders = {number: framed(number, schema) for number, schema in schemas.items()}
    fields = {stream: [field["name"] for field in schemas[number]["fields"]] for stream, number in _SCHEMA_OF.items()}
    whole, spoilt = Messages(), Messages()
    for stream, rows in sent.items():
        damages = cycle(_DAMAGES.get(stream, ()))
        for one in rows:
            key = one.key.encode()
            whole.append(Outgoing(stream, key, _value(encoders, stream, one, end), one.at))
            if stream in _DAMAGES and one.row is not None and rng.random() < SPOILT:
                victim = _Victim(dict(zip(fields[stream], one.row, strict=False)), encoders[_SCHEMA_OF[stream]], end)
                spoilt.append(Outgoing(stream, key, next(damages)(victim), one.at))
    return whole, spoilt


def _value(encoders: Mapping[int, Encode], stream: Stream, sent: Sent, end: int) -> bytes | None:
    if sent.row is None:
        return None
    if stream is not Stream.TOUCHPOINTS:
        return encoders[_SCHEMA_OF[stream]](sent.row)
    if sent.row[_DEVICE] == "desktop" and sent.at >= end - _RENEWAL:
        return encoders[TOUCHPOINT_2](sent.row)
    return encoders[TOUCHPOINT](sent.row[: -len(_ADDED)])


@dataclass(frozen=True, slots=True)
class _Victim:
    """A good row, before something goes wrong with it."""

    row: dict[str, Any]
    encode: Encode
    end: int

    def value(self, **changes: object) -> bytes:
        return self.encode(tuple((self.row | changes).values()))


# What goes wrong on the way and at careless senders: the bytes that arrive.
_DAMAGES: Mapping[Stream, Sequence[Callable[[_Victim], bytes | None]]] = {
    Stream.TOUCHPOINTS: (
        lambda victim: victim.value()[:-9],  # cut short
        lambda victim: victim.value() + b"\0\0",
        lambda victim: b"\0\0\0\x27\x0f" + victim.value()[5:],  # schema id 9999: nobody knows it
        lambda victim: json.dumps({"event_type": victim.row["event_type"]}).encode(),  # not Avro
        lambda victim: victim.value().replace(b"\x0es", b"\x0e\xff", 1),  # a session id that is not UTF-8
        lambda _: None,
        lambda victim: victim.value(event_id=""),
        lambda victim: victim.value(occurred_at=victim.end + 400 * DAY),  # a clock that is a year ahead
        lambda victim: victim.value(occurred_at=0),  # a clock that was never set
        lambda victim: victim.value(review_score=11),  # 11 of 5 stars
    ),
    Stream.ORDERS: (
        lambda victim: victim.value()[:40],
        lambda victim: victim.value(discount_cents=-500),
        lambda victim: victim.value(items=[("p000", None, None, -1, 100, 0, None)]),
        lambda victim: victim.value(customer_id=""),
    ),
}
