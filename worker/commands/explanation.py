"""What is known of one day: its state, its numbers at closing and now, and what changed them, by sql/reports/explain_*.sql."""

from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict

from worker.commands.reading import report_rows
from worker.config import Settings
from worker.events import Stream
from worker.serve.rows import plain_rows
from worker.serve.status import Moment


class DayState(StrEnum):
    """NONE: the file has no event of the day."""

    NONE = "none"
    OPEN = "open"
    CLOSED = "closed"
    SEALED = "sealed"


class _Row(BaseModel):
    model_config = ConfigDict(frozen=True)


class Number(_Row):
    """A sum of the day; of money and orders by currency. now = at_closing + change."""

    currency: str | None
    measure: str
    at_closing: int
    change: int
    now: int


class SalesChange(_Row):
    """What a change added to the sums of one currency."""

    currency: str
    orders: int
    gross_cents: int
    discount_cents: int
    refunded_cents: int
    tax_cents: int
    net_cents: int
    cost_cents: int


class Offsets(_Row):
    """The first and the last offset of one partition that changed the day."""

    topic: str
    partition: int
    first_offset: int
    last_offset: int


class Change(_Row):
    """What one hour's commits for one reason changed in the closed day."""

    ingestion_hour: Moment
    reason: str
    commits: int
    late_new: int
    late_update: int
    touchpoints: int
    orders: int
    first_ingested_at: Moment
    last_ingested_at: Moment
    sales: tuple[SalesChange, ...]
    offsets: tuple[Offsets, ...]


class LateEvent(_Row):
    """A touchpoint, the last version of an order, or a tombstone (`what` is then the order's status) that came after the day had closed.

    ingested_at, reason: unknown of tombstones. amount_cents: an order's net, a touchpoint's cost. counted: it is in the sums.
    """

    ingested_at: Moment | None
    event_time: Moment
    kind: str
    what: str
    id: str
    customer_id: str | None
    channel: str | None
    currency: str
    amount_cents: int | None
    counted: bool
    topic: str
    partition: int
    offset: int
    reason: str | None


class FirstDayMove(_Row):
    """An event of an earlier `day` by which a customer's first day moved: away from the day that is explained (-1), or to it (1)."""

    ingested_at: Moment
    day: date
    customer_id: str
    kind: str
    what: str
    id: str
    topic: str
    partition: int
    offset: int
    event_time: Moment
    new_customers: int
    new_buyers: int


class Kept(_Row):
    """Messages set aside: expired ones of the day, and rejected ones that were sent on it. place: the first of them."""

    outcome: str
    stream: str
    reason: str
    messages: int
    unresolved: int
    place: str


class Explanation(_Row):
    """Times are UTC. closes_at: the watermark at which the day closes; closed_at: the watermark when it did.

    changed_at: the last commit that closed or changed it. *_remerge_at, commits: those that changed it since. is_past: the watermark has
    passed the day; is_past_retention: and retention has, too. *_found: how many there are, of which some are listed, newest first.
    """

    day: date
    begins_at: Moment
    ends_at: Moment
    closes_at: Moment
    state: DayState
    revision: int | None
    closed_at: Moment | None
    changed_at: Moment | None
    first_remerge_at: Moment | None
    last_remerge_at: Moment | None
    commits: int
    watermark: Moment | None
    is_past: bool
    is_past_retention: bool
    first_day: date | None
    last_day: date | None
    reporting_time_zone: str
    reporting_currency: str
    numbers: tuple[Number, ...] = ()
    changes_found: int = 0
    changes: tuple[Change, ...] = ()
    events_found: int = 0
    events: tuple[LateEvent, ...] = ()
    first_days_found: int = 0
    first_days: tuple[FirstDayMove, ...] = ()
    kept: tuple[Kept, ...] = ()


def explained(settings: Settings, day: date, limit: int) -> Explanation:
    """Of the running worker, else of the file; at most `limit` changes and `limit` events. Raises QueryError, StoreError, Unavailable."""
    topics = {f"{stream}_topic": settings.kafka.topics.get(stream, stream.value) for stream in (Stream.ORDERS, Stream.TOUCHPOINTS)}
    parameters: dict[str, Any] = {"day": day.isoformat(), "limit": limit, **topics}

    def rows(name: str) -> list[dict[str, Any]]:
        table = report_rows(settings, f"explain_{name}", parameters)
        return [dict(zip(table.column_names, row, strict=True)) for row in plain_rows(table)]

    (known,) = rows("day")
    begins_at, ends_at = _bounds(day, ZoneInfo(known["reporting_time_zone"]))
    parameters |= {"begins_at": begins_at.isoformat(" "), "ends_at": ends_at.isoformat(" ")}
    known |= {"day": day, "begins_at": begins_at, "ends_at": ends_at, "closes_at": ends_at + settings.time.allowed_lateness}
    known["kept"] = rows("kept")
    if known["state"] != DayState.NONE:
        known["numbers"] = rows("numbers")
    lists = ("changes", "events", "first_days") if known["state"] == DayState.CLOSED else ("changes",)
    for name in lists if known["commits"] else ():
        known[name] = rows(name)
        known[f"{name}_found"] = known[name][0]["found"] if known[name] else 0
    return Explanation.model_validate(known)


def _bounds(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """First moment of the day and of the next, in UTC, without saying so, as in the file."""
    begins, ends = (datetime.combine(each, time(0), zone) for each in (day, day + timedelta(days=1)))
    return begins.astimezone(UTC).replace(tzinfo=None), ends.astimezone(UTC).replace(tzinfo=None)
