"""The demo's shop: sixty days of its messages in order of arrival, the same for the same seed.

`visits`, `touches` and `orders` make what happens there; `delivery` what messages meet on their way.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from worker.demo.broker import Messages
from worker.demo.catalogue import CAMPAIGNS, CHANNELS, PRODUCTS
from worker.demo.delivery import LATE, LATEST, deliver
from worker.demo.orders import Sent, customers, orders, stock
from worker.demo.touches import EVENT_TYPES, Touches, touches
from worker.demo.visits import NEVER, SECOND, Ints, people, visits
from worker.events import Stream

OPENING = datetime(2026, 3, 2, tzinfo=UTC)  # a Monday

VISITORS = 29_000  # about 330,000 messages

_DEVICES = {"mobile": 0.57, "desktop": 0.35, "tablet": 0.08}
_BROWSERS = {"mobile": "Safari", "desktop": "Firefox", "tablet": "Chrome"}
_PAGE_TYPES = {
    "page_view": "category",
    "product_view": "product",
    "cart_add": "product",
    "checkout_start": "checkout",
    "purchase": "checkout",
}


@dataclass(frozen=True, slots=True)
class Shop:
    """`messages` in order of arrival; `closing` is the end of the last day; `happened` counts what was done to them."""

    messages: Messages
    closing: datetime
    happened: Mapping[str, int]


def build(seed: int, visitors: int = VISITORS, days: int = 60, late_share: float = LATE, latest: int = LATEST) -> Shop:
    """The shop's life of `days` days with so many visitors: about 11 messages for each, some late by up to `latest` microseconds."""
    rng = np.random.default_rng(seed)
    opening = int(OPENING.timestamp()) * SECOND
    closing = OPENING + timedelta(days=days)
    end = int(closing.timestamp()) * SECOND
    who = people(rng, visitors, days)
    seen, signed_up = visits(rng, who, days)
    acts, bought = touches(rng, seen, signed_up, days)
    names = _customer_ids(signed_up)
    sent = {
        Stream.TOUCHPOINTS: _touchpoints(rng, acts, names, opening),
        Stream.ORDERS: orders(rng, bought, who.place, names, opening, end),
        Stream.CUSTOMERS: customers(rng, signed_up, who.place, names, opening, end),
        Stream.PRODUCTS: stock(rng, bought, opening, days),
    }
    happened: Counter[str] = Counter()
    messages = deliver(rng, sent, end, happened, late_share, latest)
    happened.update(bought=len(bought.at), changed=happened["orders"] - len(bought.at))
    return Shop(messages, closing, happened)


def _customer_ids(signed_up: Ints) -> dict[int, str]:
    """The ids of those who signed up, numbered as they did."""
    order = np.argsort(signed_up, kind="stable")
    return {int(person): f"c{number:05d}" for number, person in enumerate(order[signed_up[order] < NEVER], start=1)}


def _touchpoints(rng: np.random.Generator, acts: Touches, names: Mapping[int, str], opening: int) -> Iterator[Sent]:
    """Touchpoints as rows of the second writer version. A message's key is the customer, or the session of somebody unknown."""
    count = len(acts.at)
    ids = rng.bytes(16 * count).hex()
    devices = rng.choice(list(_DEVICES), int(acts.session.max()) + 1, p=list(_DEVICES.values()))[acts.session].tolist()
    campaigns = [*(campaign.name for campaign in CAMPAIGNS), None]
    products = [*(product.product_id for product in PRODUCTS), None]
    columns = (acts.kind, acts.person, acts.session, acts.at + opening, acts.channel, acts.campaign, acts.product, acts.cost, acts.score)
    rows = zip(devices, *(column.tolist() for column in columns), strict=True)
    for n, (device, kind, person, number, at, channel, campaign, product, cost, score) in enumerate(rows):
        h = ids[32 * n : 32 * n + 32]
        event_id = f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"
        customer, session, event_type = names.get(person), f"s{number:06d}", EVENT_TYPES[kind]
        row = (
            event_id,
            customer,
            session,
            at,
            event_type,
            CHANNELS[channel].name,
            campaigns[campaign],
            products[product],
            device,
            cost if cost >= 0 else None,
            score if score >= 0 else None,
            _PAGE_TYPES.get(event_type),
            _BROWSERS[device],
        )
        yield Sent(at, customer or session, row)
