"""A seeded shop in numpy columns: what its visitors and buyers do in some days, and the messages that tell of it in order of arrival."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property, lru_cache

import numpy as np

from tests.bench.avro import encoded
from tests.bench.columns import Column, Ids, Lines, Numbers, Vocabulary, Words
from tests.bench.encoding import Bools, Ints
from tests.bench.figures import CHANNELS, NOBODY, Expected, Facts, Tally

FIRST_DAY = date(2024, 3, 1)
HOUR = 3_600_000_000  # microseconds
DAY = 24 * HOUR
PARTITIONS = 6
ORDER_SCHEMA, TOUCHPOINT_SCHEMA = 1, 2  # ids in the messages' frames

_FIRST = (FIRST_DAY - date(1970, 1, 1)).days * DAY
_CHUNK = 20_000  # messages encoded at once
_PART_MESSAGES = 1_000_000
_PART_NUMBERS = 10_000_000  # of sessions and of orders
_MOST_ITEMS = 4
_TOP_CUSTOMER = 0

_CHANNEL_SHARE = (0.22, 0.25, 0.16, 0.12, 0.08, 0.09, 0.05, 0.03)
_FIRST_PAID_CHANNEL = 2  # those before it have no campaigns
_CAMPAIGNS = 6  # of each channel
_EVENT_SHARE = {
    "page_view": 0.36,
    "product_view": 0.25,
    "impression": 0.10,
    "cart_add": 0.08,
    "ad_click": 0.07,
    "checkout_start": 0.04,
    "email_open": 0.04,
    "purchase": 0.03,
    "email_click": 0.02,
    "review": 0.01,
}
_EVENTS = tuple(_EVENT_SHARE)
_IS_PAID = np.isin(_EVENTS, ("impression", "ad_click"))
_IS_OF_PRODUCT = np.isin(_EVENTS, ("product_view", "cart_add", "review"))
_IS_REVIEW = np.isin(_EVENTS, ("review",))
_STATUSES = ("COMPLETED", "REFUNDED", "PLACED", "CANCELLED", "DELETED")
_COUNTED = 2  # the first so many of the statuses count
_SEGMENTS = ("new", "regular", "vip", "business")
_COUNTRIES = (("AT", "EU"), ("DE", "EU"), ("FR", "EU"), ("NL", "EU"), ("UK", "EU"), ("BR", "SA"), ("US", "NA"), ("CA", "NA"))
_STATES, _CITIES = 4, 16  # of each country
_PRODUCTS, _CATEGORIES, _SUBCATEGORIES = 2_000, 20, 80

_OF_CHANNEL = Vocabulary(CHANNELS)
_OF_CAMPAIGN = Vocabulary([f"{channel}-{number:02d}" for channel in CHANNELS for number in range(_CAMPAIGNS)])
_OF_EVENT = Vocabulary(_EVENTS)
_OF_DEVICE = Vocabulary(("mobile", "desktop", "tablet"))
_OF_PRODUCT = Vocabulary([f"p{number:05d}" for number in range(_PRODUCTS)])
_OF_CATEGORY = Vocabulary([f"category {number}" for number in range(_CATEGORIES)])
_OF_SUBCATEGORY = Vocabulary([f"subcategory {number}" for number in range(_SUBCATEGORIES)])
_OF_STATUS = Vocabulary(_STATUSES)
_OF_CURRENCY = Vocabulary(("USD",))
_OF_SEGMENT = Vocabulary(_SEGMENTS)
_OF_COUNTRY = Vocabulary([country for country, _ in _COUNTRIES])
_OF_REGION = Vocabulary([region for _, region in _COUNTRIES])
_OF_STATE = Vocabulary([f"{country}-{number}" for country, _ in _COUNTRIES for number in range(_STATES)])
_OF_CITY = Vocabulary([f"city {number} of {country}" for country, _ in _COUNTRIES for number in range(_CITIES)])


@dataclass(frozen=True, slots=True)
class Shape:
    """What the shop is like. Shares are of all events; an update of an order is a message more, a duplicate too.

    `skew`: a customer of rank r comes in proportion to (r + 20) to the power of -skew. `top_share`: of sessions and orders, those of
    one customer. `in_order`: late events come when they happen; they are the same events. `start`:
    days from FIRST_DAY to its first. `part`: shapes that differ in it have the same customers, and no event, session or order in common.
    """

    messages: int = 546_000
    touchpoint_share: float = 400 / 546
    days: int = 14
    customers: int = 100_000
    late_share: float = 0.02
    late_days: int = 20
    duplicate_share: float = 0.01
    update_share: float = 0.20
    skew: float = 0.8
    top_share: float = 0.0
    in_order: bool = False
    start: int = 0
    part: int = 0
    seed: int = 1

    @property
    def touchpoint_messages(self) -> int:
        return round(self.messages * self.touchpoint_share)

    def of(self, messages: int) -> "Shape":
        """The same with so many messages."""
        return replace(self, messages=messages)

    def parts(self) -> list["Shape"]:
        """The same as several shapes, one after another in time and in `part`, each small enough to be made at once."""
        count = max(1, min(self.days, self.messages // _PART_MESSAGES))
        days = [self.days * i // count for i in range(count + 1)]
        sent = [self.messages * i // count for i in range(count + 1)]
        return [
            replace(self, messages=sent[i + 1] - sent[i], days=days[i + 1] - days[i], start=self.start + days[i], part=self.part + i)
            for i in range(count)
        ]


@dataclass(frozen=True, slots=True)
class Messages:
    """Some messages of one topic in order of arrival: each one's partition, shape (n,), and value."""

    partitions: Ints
    values: list[bytes]


class Touchpoints:
    """Sessions of some touchpoints each; a late session is one that was offline for days and tells of it then."""

    def __init__(self, shape: Shape, rng: np.random.Generator) -> None:
        n = round(shape.touchpoint_messages / (1 + shape.duplicate_share))
        self._shape = shape
        self.session = _session_of(n, rng)
        sessions = int(self.session.max(initial=-1)) + 1
        arrived = np.sort(_moments(shape, sessions, rng))[self.session] + _since_start(self.session, rng)
        self.occurred_at = arrived - _delays(shape, sessions, rng)[self.session]
        self.event_id = rng.integers(0, 256, (n, 16), np.uint8)
        self.customer = _customers(shape, sessions, rng)[self.session]
        self.identified = (rng.random(sessions) < 0.7)[self.session] | (self.customer == _TOP_CUSTOMER)
        self.channel = rng.choice(len(CHANNELS), sessions, p=_CHANNEL_SHARE)[self.session]
        self.campaign = self.channel * _CAMPAIGNS + rng.integers(0, _CAMPAIGNS, sessions)[self.session]
        self.device = rng.choice(3, sessions, p=(0.6, 0.35, 0.05))[self.session]
        self.event_type = rng.choice(len(_EVENTS), n, p=list(_EVENT_SHARE.values()))
        self.product = _products(n, rng)
        self.cost_cents = rng.integers(1, 300, n)
        self.review_score = rng.integers(1, 6, n)
        self.arrivals = _arrivals(shape.touchpoint_messages, self.occurred_at if shape.in_order else arrived, rng)

    def messages(self) -> Iterator[Messages]:
        """All messages in order of arrival, some at a time."""
        for rows in _chunks(self.arrivals):
            yield Messages(self.session[rows] % PARTITIONS, encoded(TOUCHPOINT_SCHEMA, self.columns(rows), len(rows)))

    def columns(self, rows: Ints) -> Mapping[str, Column]:
        """What the events of these rows say, by field."""
        event, channel = self.event_type[rows], self.channel[rows]
        return {
            "event_id": Ids(self.event_id[rows]),
            "customer_id": Words(_customer_names(self._shape.customers), self.customer[rows], self.identified[rows]),
            "session_id": Words(self._session_names, self.session[rows]),
            "occurred_at": Numbers(self.occurred_at[rows]),
            "event_type": Words(_OF_EVENT, event),
            "channel": Words(_OF_CHANNEL, channel),
            "campaign": Words(_OF_CAMPAIGN, self.campaign[rows], channel >= _FIRST_PAID_CHANNEL),
            "product_id": Words(_OF_PRODUCT, self.product[rows], _IS_OF_PRODUCT[event]),
            "device": Words(_OF_DEVICE, self.device[rows], _always(rows)),
            "cost_cents": Numbers(self.cost_cents[rows], _IS_PAID[event]),
            "review_score": Numbers(self.review_score[rows], _IS_REVIEW[event]),
        }

    @cached_property
    def _session_names(self) -> Vocabulary:
        return Vocabulary(_numbered("s", self._shape, int(self.session.max(initial=0)) + 1))

    def tally(self) -> Tally:
        """By day and channel: touchpoints, customers, cost in cents."""
        cost = np.where(_IS_PAID[self.event_type], self.cost_cents, 0)
        day_channel = self.occurred_at // DAY * len(CHANNELS) + self.channel
        return Tally.of(Facts(day_channel, np.where(self.identified, self.customer, NOBODY), cost))


class Orders:
    """Orders of up to four lines; some get a second version within three days. Rows of versions: all first ones, then the updates."""

    def __init__(self, shape: Shape, rng: np.random.Generator) -> None:
        message_count = shape.messages - shape.touchpoint_messages
        versions = round(message_count / (1 + shape.duplicate_share))
        n = round(versions / (1 + shape.update_share))
        self._shape = shape
        arrived = np.sort(_moments(shape, n, rng))
        self.ordered_at = arrived - _delays(shape, n, rng)
        self.customer = _customers(shape, n, rng)
        attributes = np.random.default_rng(shape.seed)  # of customers, the same in all parts: they count once a day and segment
        self.customer_country = attributes.integers(0, len(_COUNTRIES), shape.customers)
        self.customer_segment = attributes.integers(0, len(_SEGMENTS), shape.customers)
        self._lines(n, rng)
        updated = np.sort(rng.choice(n, versions - n, replace=False))
        updated_at = (
            arrived[updated] + (rng.random(len(updated)) * np.minimum(3 * DAY, _end(shape) - arrived[updated])).astype(np.int64) + 1
        )
        self.order = np.concatenate([np.arange(n), updated])
        self.updated_at = np.concatenate([self.ordered_at, updated_at])
        self.status = np.concatenate(
            [rng.choice([0, 2, 3], n, p=(0.7, 0.25, 0.05)), rng.choice(5, len(updated), p=(0.5, 0.25, 0.0, 0.2, 0.05))]
        )
        self.refunded_cents = np.where(self.status == 1, self.price[self.order, 0] // 2, 0)
        came = self.updated_at if shape.in_order else np.concatenate([arrived, updated_at])
        self.arrivals = _arrivals(message_count, came, rng)

    def _lines(self, n: int, rng: np.random.Generator) -> None:
        """Per order and line, shape (n, 4); the first `line_count` lines of an order are there."""
        shape = (n, _MOST_ITEMS)
        self.line_count = rng.choice(np.arange(1, _MOST_ITEMS + 1), n, p=(0.55, 0.25, 0.12, 0.08))
        self.product = _products(n * _MOST_ITEMS, rng).reshape(shape)
        self.quantity = rng.choice([1, 2, 3, 10], shape, p=(0.8, 0.13, 0.05, 0.02))
        self.price = rng.integers(300, 30_000, shape)
        self.line_discount = np.where(rng.random(shape) < 0.2, self.price // 10, 0)
        self.unit_cost, self.has_cost = self.price * 6 // 10, rng.random(shape) < 0.9
        self.discount_cents = np.where(rng.random(n) < 0.1, 250, 0)

    @property
    def first_versions(self) -> Ints:
        """Rows of `arrivals` that are no updates."""
        return self.arrivals[self.arrivals < len(self.ordered_at)]

    @property
    def updates(self) -> Ints:
        """Rows of `arrivals` that are updates."""
        return self.arrivals[self.arrivals >= len(self.ordered_at)]

    def messages(self, arrivals: Ints | None = None) -> Iterator[Messages]:
        """All messages (or these) in order of arrival, some at a time."""
        for rows in _chunks(self.arrivals if arrivals is None else arrivals):
            yield Messages(self.order[rows] % PARTITIONS, encoded(ORDER_SCHEMA, self.columns(rows), len(rows)))

    def columns(self, rows: Ints) -> Mapping[str, Column]:
        """What the events of these rows say, by field."""
        order, always, only = self.order[rows], _always(rows), np.zeros(len(rows), np.int64)
        customer = self.customer[order]
        country = self.customer_country[customer]
        city = country * _CITIES + customer % _CITIES
        return {
            "order_id": Words(self._order_names, order),
            "customer_id": Words(_customer_names(self._shape.customers), customer),
            "ordered_at": Numbers(self.ordered_at[order]),
            "updated_at": Numbers(self.updated_at[rows]),
            "status": Words(_OF_STATUS, self.status[rows]),
            "currency": Words(_OF_CURRENCY, only),
            "customer_segment": Words(_OF_SEGMENT, self.customer_segment[customer], always),
            "region": Words(_OF_REGION, country, always),
            "country": Words(_OF_COUNTRY, country, always),
            "state": Words(_OF_STATE, city * _STATES // _CITIES, always),
            "city": Words(_OF_CITY, city, always),
            "discount_cents": Numbers(self.discount_cents[order]),
            "tax_cents": Numbers(self.price[order, 0] // 12),
            "shipping_cents": Numbers(np.full(len(rows), 490)),
            "refunded_cents": Numbers(self.refunded_cents[rows]),
            "items": self._items(order),
        }

    def _items(self, order: Ints) -> Lines:
        product = self.product[order]
        always = np.ones(product.shape, np.bool_)
        return Lines(
            self.line_count[order],
            {
                "product_id": Words(_OF_PRODUCT, product),
                "category": Words(_OF_CATEGORY, product % _CATEGORIES, always),
                "subcategory": Words(_OF_SUBCATEGORY, product % _SUBCATEGORIES, always),
                "quantity": Numbers(self.quantity[order]),
                "unit_price_cents": Numbers(self.price[order]),
                "discount_cents": Numbers(self.line_discount[order]),
                "unit_cost_cents": Numbers(self.unit_cost[order], self.has_cost[order]),
            },
        )

    @cached_property
    def _order_names(self) -> Vocabulary:
        return Vocabulary(_numbered("o", self._shape, len(self.ordered_at)))

    def tally(self, *, with_updates: bool) -> Tally:
        """By day: counted orders, their customers, net in cents."""
        version = np.arange(len(self.ordered_at))
        if with_updates:
            updates = np.arange(len(version), len(self.order))
            version[self.order[updates]] = updates
        counted = self.status[version] < _COUNTED
        is_there = np.arange(_MOST_ITEMS) < self.line_count[:, None]
        net = (
            (is_there * (self.quantity * self.price - self.line_discount)).sum(axis=1) - self.discount_cents - self.refunded_cents[version]
        )
        return Tally.of(Facts(self.ordered_at[counted] // DAY, self.customer[counted], net[counted]))


class Shop:
    """What a shape brings about; the same for the same seed."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        orders, touchpoints = np.random.default_rng([shape.seed, shape.part]).spawn(2)
        self.orders = Orders(shape, orders)
        self.touchpoints = Touchpoints(shape, touchpoints)

    def expected(self, *, with_updates: bool = True) -> Expected:
        """What the tables hold once all is read, or all but updates of orders."""
        return Expected(self.orders.tally(with_updates=with_updates), self.touchpoints.tally())


def _chunks(rows: Ints) -> Iterator[Ints]:
    return (rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK))


def _always(rows: Ints) -> Bools:
    return np.ones(len(rows), np.bool_)


def _numbered(letter: str, shape: Shape, count: int) -> list[str]:
    first = shape.part * _PART_NUMBERS
    return [f"{letter}{number:011d}" for number in range(first, first + count)]


@lru_cache(4)
def _customer_names(count: int) -> Vocabulary:
    return Vocabulary([f"c{number:07d}" for number in range(count)])


def _end(shape: Shape) -> int:
    return _first(shape) + shape.days * DAY


def _first(shape: Shape) -> int:
    return _FIRST + shape.start * DAY


def _moments(shape: Shape, n: int, rng: np.random.Generator) -> Ints:
    """UTC microseconds over the days, more by day than by night."""
    return _first(shape) + rng.integers(0, shape.days, n) * DAY + (rng.beta(3, 2, n) * DAY).astype(np.int64)


def _session_of(n: int, rng: np.random.Generator) -> Ints:
    """The session of each of n touchpoints: five each on average."""
    return np.repeat(np.arange(n), rng.geometric(0.2, n))[:n]


def _since_start(session: Ints, rng: np.random.Generator) -> Ints:
    """Microseconds since the first touchpoint of the session: half a minute from one to the next on average."""
    passed = np.cumsum(rng.exponential(30e6, len(session)).astype(np.int64))
    first = np.searchsorted(session, session)
    return passed - passed[first]


def _delays(shape: Shape, n: int, rng: np.random.Generator) -> Ints:
    """How much later it arrives than it happened: most not at all, some by up to `late_days`."""
    late = rng.random(n) < shape.late_share
    return np.where(late, rng.integers(HOUR, shape.late_days * DAY, n), 0)


def _customers(shape: Shape, n: int, rng: np.random.Generator) -> Ints:
    """Few come often, many seldom; they are the same in all parts of a shop. One has `top_share` of all."""
    weight = np.cumsum((np.arange(shape.customers) + 20.0) ** -shape.skew)
    by_weight = np.minimum(np.searchsorted(weight, rng.random(n) * weight[-1]), shape.customers - 1)
    customers = np.random.default_rng(shape.seed).permutation(shape.customers)[by_weight]
    return np.where(rng.random(n) < shape.top_share, _TOP_CUSTOMER, customers)


def _products(n: int, rng: np.random.Generator) -> Ints:
    return np.asarray((rng.random(n) ** 2 * _PRODUCTS).astype(np.int64))


def _arrivals(count: int, arrived: Ints, rng: np.random.Generator) -> Ints:
    """The row of each of `count` messages in order of arrival: every row once, and duplicates some minutes later."""
    twice = rng.choice(len(arrived), count - len(arrived), replace=False)
    again = arrived[twice] + rng.exponential(600e6, len(twice)).astype(np.int64)
    order = np.argsort(np.concatenate([arrived, again]), kind="stable")
    return np.concatenate([np.arange(len(arrived)), twice])[order]
