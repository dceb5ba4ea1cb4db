"""The orders, customers and products of the demo's shop, as rows in the order of the writer schemas' fields.

An order is sent whole at each version. Most have one; a fifth are changed later, in one of the ways of `_FATES`.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from worker.demo.catalogue import EASTER_SALE, FIRST_NAMES, LAST_NAMES, PLACES, PRODUCTS, Product
from worker.demo.touches import Baskets
from worker.demo.visits import DAY, HOUR, SECOND, Ints

Row: TypeAlias = tuple[Any, ...]
Order: TypeAlias = dict[str, Any]  # in the order of the schema's fields

_CHANGED = 0.2
_FATES = {"paid_later": 0.3, "corrected": 0.22, "refunded": 0.28, "cancelled": 0.12, "deleted": 0.05, "erased": 0.03}
_SEGMENTS = {"consumer": 0.82, "business": 0.14, None: 0.04}
_MOVES = 0.02
_FORGOTTEN = 0.004


class Sent(NamedTuple):
    """A row as its system sends it, with the message key; None for the row is a tombstone. `at`: microseconds since 1970."""

    at: int
    key: str
    row: Row | None


def orders(rng: np.random.Generator, bought: Baskets, place: Ints, names: Mapping[int, str], opening: int, end: int) -> Iterator[Sent]:
    """Every version of every order. `place` is where each person lives, `names` are their customer ids."""
    segments = rng.choice(np.array(list(_SEGMENTS)), len(place), p=list(_SEGMENTS.values()))
    fates = rng.choice(list(_FATES), len(bought.at), p=list(_FATES.values()))
    fates[rng.random(len(fates)) >= _CHANGED] = ""
    for number, person in enumerate(bought.person.tolist()):
        at = opening + int(bought.at[number])
        in_sale = (at - opening) // DAY in EASTER_SALE
        items = [_item(rng, PRODUCTS[product], in_sale) for product in bought.products[number] if product >= 0]
        order = _order(rng, f"o{number + 1:06d}", names[person], at, segments[person], int(place[person]), items)
        later = min(at + HOUR + int(rng.gamma(2, 3) * DAY), at + int(rng.uniform(0.3, 0.95) * (end - at)))
        yield from _versions(rng, order, fates[number], later)


def _order(rng: np.random.Generator, order_id: str, customer_id: str, at: int, segment: str | None, home: int, items: list[Row]) -> Order:
    place = PLACES[home]
    goods = sum(quantity * price - discount for _, _, _, quantity, price, discount, _ in items)
    return {
        "order_id": order_id,
        "customer_id": customer_id,
        "ordered_at": at,
        "updated_at": at,
        "status": "COMPLETED",
        "currency": place.currency,
        "customer_segment": segment,
        "region": place.region,
        "country": place.country,
        "state": place.state,
        "city": place.city if rng.random() < 0.97 else None,
        "discount_cents": 500 if goods > 4_000 and rng.random() < 0.12 else 0,
        "tax_cents": goods * 8 // 100,
        "shipping_cents": 595 if goods < 5_000 else 0,
        "refunded_cents": 0,
        "items": items,
    }


def _item(rng: np.random.Generator, product: Product, in_sale: bool) -> Row:
    quantity = 1 + int(rng.poisson(0.45 if product.price_cents < 3_000 else 0.03))
    discount = quantity * product.price_cents * 15 // 100 if in_sale else 0
    shelf = product.shelf
    return (product.product_id, shelf.category, shelf.subcategory, quantity, product.price_cents, discount, product.cost_cents)


def _versions(rng: np.random.Generator, order: Order, fate: str, later: int) -> Iterator[Sent]:
    """The order as it was placed and, unless its fate is empty, as it became at `later`."""
    yield _version(order, status="PLACED" if fate == "paid_later" else "COMPLETED")
    if fate in ("paid_later", "deleted", "cancelled"):
        status = {"paid_later": "COMPLETED", "deleted": "DELETED", "cancelled": "CANCELLED"}[fate]
        yield _version(order, status=status, updated_at=later)
    elif fate == "refunded":
        paid = sum(item[3] * item[4] - item[5] for item in order["items"]) - order["discount_cents"]
        part = paid if rng.random() < 0.5 else paid * int(rng.integers(1, 8)) // 10
        yield _version(order, status="REFUNDED", refunded_cents=part, updated_at=later)
    elif fate == "corrected":
        first, *rest = order["items"]
        more = (*first[:3], first[3] + 1, *first[4:])
        yield _version(order, items=[more, *rest], updated_at=later)
    elif fate == "erased":
        yield Sent(later, order["order_id"], None)


def _version(order: Order, **changes: Any) -> Sent:
    version = order | changes
    return Sent(version["updated_at"], version["order_id"], tuple(version.values()))


def customers(rng: np.random.Generator, signed_up: Ints, place: Ints, names: Mapping[int, str], opening: int, end: int) -> Iterator[Sent]:
    """A row as each customer signs up, another for those who move, a tombstone for those who ask to be forgotten."""
    for person, customer_id in names.items():
        joined = opening + int(signed_up[person])
        name = f"{FIRST_NAMES[rng.integers(len(FIRST_NAMES))]} {LAST_NAMES[rng.integers(len(LAST_NAMES))]}"
        email = f"{name.replace(' ', '.').lower()}.{customer_id}@example.com"
        homes = {joined: int(place[person])}
        if rng.random() < _MOVES:
            homes[int(rng.integers(joined + 1, end))] = int(rng.integers(len(PLACES)))
        for since, home in homes.items():
            there = PLACES[home]
            yield Sent(
                since, customer_id, (customer_id, f"u-{customer_id}", name, email, there.city, there.state, there.country, joined, since)
            )
        if rng.random() < _FORGOTTEN:
            yield Sent(int(rng.integers(max(homes) + 1, end)), customer_id, None)


def stock(rng: np.random.Generator, bought: Baskets, opening: int, days: int) -> Iterator[Sent]:
    """Every product as it is counted each evening: its stock falls with what is sold and is filled up when it runs low."""
    sold = np.zeros((len(PRODUCTS), days), np.int64)
    order, line = np.nonzero(bought.products >= 0)
    np.add.at(sold, (bought.products[order, line], bought.at[order] // DAY), 1)
    for number, product in enumerate(PRODUCTS):
        full = 30 + int(sold[number].sum()) // 2
        level = full
        for day in range(days):
            level = level - int(sold[number, day]) if level > full // 5 else full
            at = opening + day * DAY + 22 * HOUR + int(rng.integers(HOUR // SECOND)) * SECOND
            shelf = product.shelf
            row = (product.product_id, product.name, shelf.category, shelf.subcategory, product.cost_cents, max(level, 0), at)
            yield Sent(at, product.product_id, row)
