"""Nights of the demo's shop by hand: each message written out, with the shop's own schemas."""

import io
from collections.abc import Sequence
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import fastavro

from tests.support.messages import order, touchpoint
from worker.approaches.nights import Arrived, Night
from worker.demo.delivery import ORDER, TOUCHPOINT_2, writer_schemas
from worker.events import Stream

__all__ = ["ArrivalLog", "event_id", "ordered", "touched"]


def event_id(number: int) -> str:
    return f"00000000-0000-0000-0000-{number:012d}"


def touched(number: int, at: str, **fields: Any) -> tuple[Stream, str, bytes]:
    """A page view by email, of c1 in session s1. `at` is UTC."""
    record = touchpoint(event_id=event_id(number), customer_id="c1", occurred_at=_moment(at))
    return Stream.TOUCHPOINTS, "c1", _framed(TOUCHPOINT_2, record | fields)


def ordered(order_id: str, at: str, **fields: Any) -> tuple[Stream, str, bytes]:
    """A completed order of c1: one piece at 10.00 USD. `updated`: when this version is of."""
    updated = fields.pop("updated", at)
    record = order(order_id=order_id, ordered_at=_moment(at), updated_at=_moment(updated), **fields)
    return Stream.ORDERS, order_id, _framed(ORDER, record)


class ArrivalLog:
    """Gives offsets to what arrives, night by night."""

    def __init__(self) -> None:
        self._sent = dict.fromkeys((Stream.ORDERS, Stream.TOUCHPOINTS), 0)

    def night(self, day: str, *messages: tuple[Stream, str, bytes | None]) -> Night:
        arrived: dict[Stream, Sequence[Arrived]] = {stream: [] for stream in self._sent}
        at = int(_moment(f"{day} 23:00").timestamp()) * 1_000_000
        for stream, key, value in messages:
            arrived[stream] = [*arrived[stream], Arrived(stream, self._sent[stream], key.encode(), value, at)]
            self._sent[stream] += 1
        return Night(date.fromisoformat(day), arrived)


@cache
def _schema(number: int) -> Any:
    return fastavro.parse_schema(writer_schemas()[number])


def _framed(number: int, record: dict[str, Any]) -> bytes:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, _schema(number), record)
    return b"\0" + number.to_bytes(4, "big") + body.getvalue()


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
