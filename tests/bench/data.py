"""A seeded shop in numpy columns: what its visitors and buyers do in some days, the messages that tell of it in order of arrival, and the
exact figures that a worker must come to.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from typing import TypeAlias

import numpy as np

from tests.bench.encoding import Ints, Pieces, frame, messages, numbers, optional, texts, uuids

FIRST_DAY = date(2024, 3, 1)
HOUR = 3_600_000_000  # microseconds
DAY = 24 * HOUR
PARTITIONS = 6
ORDER_SCHEMA, TOUCHPOINT_SCHEMA = 1, 2  # ids in the messages' frames

_EPOCH = date(1970, 1, 1)
_FIRST = (FIRST_DAY - _EPOCH).days * DAY
_CHUNK = 50_000  # messages encoded at once
_MOST_ITEMS = 4

CHANNELS = ("direct", "organic", "paid_search", "paid_social", "display", "email", "affiliate", "referral")
_CHANNEL_SHARE = (0.22, 0.25, 0.16, 0.12, 0.08, 0.09, 0.05, 0.03)
_CAMPAIGNS = 6  # of each channel but the first two
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
_PAID_EVENTS = [_EVENTS.index(name) for name in ("impression", "ad_click")]
_PRODUCT_EVENTS = [_EVENTS.index(name) for name in ("product_view", "cart_add", "review")]
_REVIEW = _EVENTS.index("review")
_DEVICES = ("mobile", "desktop", "tablet")
_STATUSES = ("COMPLETED", "REFUNDED", "PLACED", "CANCELLED", "DELETED")
_COUNTED = 2  # the first so many of the statuses count
_SEGMENTS = ("new", "regular", "vip", "business")
_COUNTRIES = (("AT", "EU"), ("DE", "EU"), ("FR", "EU"), ("NL", "EU"), ("UK", "EU"), ("BR", "SA"), ("US", "NA"), ("CA", "NA"))
_PRODUCTS, _CATEGORIES, _SUBCATEGORIES = 2_000, 20, 80

Figures: TypeAlias = list[tuple[object, ...]]


@dataclass(frozen=True, slots=True)
class Shape:
    """What the shop is like. Shares are of all events; an update of an order is a message more, a duplicate too."""

    messages: int = 546_000
    touchpoint_share: float = 400 / 546
    days: int = 14
    customers: int = 100_000
    late_share: float = 0.02
    late_days: int = 20
    duplicate_share: float = 0.01
    update_share: float = 0.20
    seed: int = 1

    @property
    def touchpoint_messages(self) -> int:
        return round(self.messages * self.touchpoint_share)


@dataclass(frozen=True, slots=True)
class Messages:
    """Some messages of one topic in order of arrival: each one's partition, shape (n,), and value."""

    partitions: Ints
    values: list[bytes]


class Touchpoints:
    """Sessions of some touchpoints each; a late session is one that was offline for days and tells of it then."""

    def __init__(self, shape: Shape, rng: np.random.Generator) -> None:
        n = round(shape.touchpoint_messages / (1 + shape.duplicate_share))
        self.session = _session_of(n, rng)
        sessions = int(self.session[-1]) + 1
        arrived = np.sort(_moments(shape, sessions, rng))[self.session] + _since_start(self.session, rng)
        self.occurred_at = arrived - _delays(shape, sessions, rng)[self.session]
        self.event_id = rng.integers(0, 256, (n, 16), np.uint8)
        self.customer = _customers(shape, sessions, rng)[self.session]
        self.identified = (rng.random(sessions) < 0.7)[self.session]
        self.channel = rng.choice(len(CHANNELS), sessions, p=_CHANNEL_SHARE)[self.session]
        self.campaign = self.channel * _CAMPAIGNS + rng.integers(0, _CAMPAIGNS, sessions)[self.session]
        self.device = rng.choice(len(_DEVICES), sessions, p=(0.6, 0.35, 0.05))[self.session]
        self.event_type = rng.choice(len(_EVENTS), n, p=list(_EVENT_SHARE.values()))
        self.product = _products(n, rng)
        self.cost_cents = rng.integers(1, 300, n)
        self.review_score = rng.integers(1, 6, n)
        self.arrivals = _arrivals(shape.touchpoint_messages, arrived, rng)

    def messages(self) -> Iterator[Messages]:
        """All messages in order of arrival, some at a time."""
        sessions = texts([f"s{number:011d}" for number in range(int(self.session[-1]) + 1)])
        customers = texts([f"c{number:07d}" for number in range(int(self.customer.max()) + 1)])
        products, devices, channels = texts(_product_names()), texts(_DEVICES), texts(CHANNELS)
        events = texts(_EVENTS)
        campaigns = texts([f"{channel}-{number:02d}" for channel in CHANNELS for number in range(_CAMPAIGNS)])
        for start in range(0, len(self.arrivals), _CHUNK):
            rows = self.arrivals[start : start + _CHUNK]
            event_type, channel = self.event_type[rows], self.channel[rows]
            fields = [
                frame(TOUCHPOINT_SCHEMA, len(rows)),
                uuids(self.event_id[rows]),
                optional(self.identified[rows], customers.at(self.customer[rows])),
                sessions.at(self.session[rows]),
                numbers(self.occurred_at[rows]),
                events.at(event_type),
                channels.at(channel),
                optional(channel >= 2, campaigns.at(self.campaign[rows])),
                optional(np.isin(event_type, _PRODUCT_EVENTS), products.at(self.product[rows])),
                optional(np.ones(len(rows), np.bool_), devices.at(self.device[rows])),
                optional(np.isin(event_type, _PAID_EVENTS), numbers(self.cost_cents[rows])),
                optional(event_type == _REVIEW, numbers(self.review_score[rows])),
            ]
            yield Messages(self.session[rows] % PARTITIONS, messages(fields))

    def figures(self) -> Figures:
        """(day, channel, touchpoints, customers, cost_cents), ascending."""
        key = self.occurred_at // DAY * len(CHANNELS) + self.channel
        keys, at, touchpoints = np.unique(key, return_inverse=True, return_counts=True)
        cost = _sums(at, np.where(np.isin(self.event_type, _PAID_EVENTS), self.cost_cents, 0))
        customers = _distinct(at[self.identified], self.customer[self.identified], len(keys))
        return sorted(
            (_date(int(k) // len(CHANNELS)), CHANNELS[int(k) % len(CHANNELS)], int(n), int(c), int(cents))
            for k, n, c, cents in zip(keys, touchpoints, customers, cost, strict=True)
        )


class Orders:
    """Orders of up to four lines; some get a second version within three days. Rows of versions: all first ones, then the updates."""

    def __init__(self, shape: Shape, rng: np.random.Generator) -> None:
        message_count = shape.messages - shape.touchpoint_messages
        versions = round(message_count / (1 + shape.duplicate_share))
        n = round(versions / (1 + shape.update_share))
        arrived = np.sort(_moments(shape, n, rng))
        self.ordered_at = arrived - _delays(shape, n, rng)
        self.customer = _customers(shape, n, rng)
        self.customer_country = rng.integers(0, len(_COUNTRIES), shape.customers)
        self.customer_segment = rng.integers(0, len(_SEGMENTS), shape.customers)
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
        self.arrivals = _arrivals(message_count, np.concatenate([arrived, updated_at]), rng)

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

    def messages(self) -> Iterator[Messages]:
        """All messages in order of arrival, some at a time."""
        order_ids = texts([f"o{number:011d}" for number in range(len(self.ordered_at))])
        customers = texts([f"c{number:07d}" for number in range(len(self.customer_country))])
        statuses, segments = texts(_STATUSES), texts(_SEGMENTS)
        countries, regions = texts([country for country, _ in _COUNTRIES]), texts([region for _, region in _COUNTRIES])
        states = texts([f"{country}-{number}" for country, _ in _COUNTRIES for number in range(4)])
        cities = texts([f"city {number} of {country}" for country, _ in _COUNTRIES for number in range(16)])
        currency = texts(["USD"])
        for start in range(0, len(self.arrivals), _CHUNK):
            rows = self.arrivals[start : start + _CHUNK]
            order = self.order[rows]
            customer = self.customer[order]
            country, always = self.customer_country[customer], np.ones(len(rows), np.bool_)
            city = country * 16 + customer % 16
            fields = [
                frame(ORDER_SCHEMA, len(rows)),
                order_ids.at(order),
                customers.at(customer),
                numbers(self.ordered_at[order]),
                numbers(self.updated_at[rows]),
                statuses.at(self.status[rows]),
                currency.at(np.zeros(len(rows), np.int64)),
                optional(always, segments.at(self.customer_segment[customer])),
                optional(always, regions.at(country)),
                optional(always, countries.at(country)),
                optional(always, states.at(city // 4)),
                optional(always, cities.at(city)),
                numbers(self.discount_cents[order]),
                numbers(self.price[order, 0] // 12),  # tax
                numbers(np.full(len(rows), 490)),  # shipping
                numbers(self.refunded_cents[rows]),
                *self._items(order),
            ]
            yield Messages(order % PARTITIONS, messages(fields))

    def _items(self, order: Ints) -> Iterator[Pieces]:
        products = texts(_product_names())
        categories = texts([f"category {number}" for number in range(_CATEGORIES)])
        subcategories = texts([f"subcategory {number}" for number in range(_SUBCATEGORIES)])
        yield numbers(self.line_count[order])
        for line in range(_MOST_ITEMS):
            present = line < self.line_count[order]
            product, always = self.product[order, line], np.ones(len(order), np.bool_)
            for piece in (
                products.at(product),
                optional(always, categories.at(product % _CATEGORIES)),
                optional(always, subcategories.at(product % _SUBCATEGORIES)),
                numbers(self.quantity[order, line]),
                numbers(self.price[order, line]),
                numbers(self.line_discount[order, line]),
                optional(self.has_cost[order, line], numbers(self.unit_cost[order, line])),
            ):
                yield piece.where(present)
        yield numbers(np.zeros(len(order), np.int64))

    def figures(self) -> Figures:
        """(day, orders, customers, net_cents) of counted orders, ascending."""
        version = np.arange(len(self.ordered_at))
        updates = np.arange(len(version), len(self.order))
        version[self.order[updates]] = updates
        counted = self.status[version] < _COUNTED
        is_there = np.arange(_MOST_ITEMS) < self.line_count[:, None]
        net = (
            (is_there * (self.quantity * self.price - self.line_discount)).sum(axis=1) - self.discount_cents - self.refunded_cents[version]
        )
        days, at, orders = np.unique(self.ordered_at[counted] // DAY, return_inverse=True, return_counts=True)
        customers = _distinct(at, self.customer[counted], len(days))
        cents = _sums(at, net[counted])
        return [(_date(int(d)), int(o), int(c), int(n)) for d, o, c, n in zip(days, orders, customers, cents, strict=True)]


class Shop:
    """What a shape brings about; the same for the same seed."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape
        orders, touchpoints = np.random.default_rng(shape.seed).spawn(2)
        self.orders = Orders(shape, orders)
        self.touchpoints = Touchpoints(shape, touchpoints)


def _end(shape: Shape) -> int:
    return _FIRST + shape.days * DAY


def _moments(shape: Shape, n: int, rng: np.random.Generator) -> Ints:
    """UTC microseconds over the days, more by day than by night."""
    return _FIRST + rng.integers(0, shape.days, n) * DAY + (rng.beta(3, 2, n) * DAY).astype(np.int64)


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
    """Few come often, many seldom."""
    weight = np.cumsum((np.arange(shape.customers) + 20.0) ** -0.8)
    by_weight = np.searchsorted(weight, rng.random(n) * weight[-1])
    return np.asarray(rng.permutation(shape.customers)[np.minimum(by_weight, shape.customers - 1)])


def _products(n: int, rng: np.random.Generator) -> Ints:
    return np.asarray((rng.random(n) ** 2 * _PRODUCTS).astype(np.int64))


def _product_names() -> list[str]:
    return [f"p{number:05d}" for number in range(_PRODUCTS)]


def _arrivals(count: int, arrived: Ints, rng: np.random.Generator) -> Ints:
    """The row of each of `count` messages in order of arrival: every row once, and duplicates some minutes later."""
    twice = rng.choice(len(arrived), count - len(arrived), replace=False)
    again = arrived[twice] + rng.exponential(600e6, len(twice)).astype(np.int64)
    order = np.argsort(np.concatenate([arrived, again]), kind="stable")
    return np.concatenate([np.arange(len(arrived)), twice])[order]


def _distinct(groups: Ints, members: Ints, group_count: int) -> Ints:
    """How many different members each group has."""
    among = int(members.max(initial=0)) + 1
    return np.bincount(np.unique(groups * among + members) // among, minlength=group_count)


def _sums(groups: Ints, values: Ints) -> Ints:
    """Exact sums by group (bincount with weights would add doubles)."""
    sums = np.zeros(int(groups.max()) + 1, np.int64)
    np.add.at(sums, groups, values)
    return sums


def _date(days: int) -> date:
    return _EPOCH + timedelta(days=days)
