"""What each night finds: the messages of the demo's shop that arrived on one day."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import NamedTuple

from worker.demo import shop
from worker.demo.visits import DAY, SECOND
from worker.events import Stream

STREAMS = (Stream.ORDERS, Stream.TOUCHPOINTS)
LATEST_DAYS = 30  # of the late events: most come within two weeks, the last after a month


class Arrived(NamedTuple):
    """A message in its topic's one partition (see events.Message). `at`: when it arrived, microseconds since 1970."""

    stream: Stream
    number: int
    name: bytes
    body: bytes | None
    at: int

    def topic(self) -> str:
        return self.stream.value

    def partition(self) -> int:
        return 0

    def offset(self) -> int:
        return self.number

    def key(self) -> bytes:
        return self.name

    def value(self) -> bytes | None:
        return self.body

    def headers(self) -> None:
        return None

    def set_headers(self, headers: list[tuple[str, bytes | None]]) -> None:
        """These messages have none."""

    def timestamp(self) -> tuple[int, int]:
        return 1, self.at // 1000


@dataclass(frozen=True, slots=True)
class Night:
    """The messages that arrived on `day` (UTC), in order of arrival; `over` is the day's end, when the nightly runs begin."""

    day: date
    messages: Mapping[Stream, Sequence[Arrived]]

    @property
    def over(self) -> datetime:
        return shop.OPENING + (self.day - shop.OPENING.date() + timedelta(days=1))


def nights(seed: int, visitors: int, days: int, late_share: float) -> list[Night]:
    """The shop's messages of orders and touchpoints by day of arrival; the same for the same arguments."""
    made = shop.build(seed, visitors, days, late_share, LATEST_DAYS * DAY)
    opening = int(shop.OPENING.timestamp()) * SECOND
    arrived: list[dict[Stream, list[Arrived]]] = [{stream: [] for stream in STREAMS} for _ in range(days)]
    sent: dict[Stream, int] = defaultdict(int)
    for stream, key, value, at in made.messages:
        if stream in STREAMS:
            arrived[(at - opening) // DAY][stream].append(Arrived(stream, sent[stream], key, value, at))
            sent[stream] += 1
    return [Night(shop.OPENING.date() + timedelta(days=number), messages) for number, messages in enumerate(arrived)]
