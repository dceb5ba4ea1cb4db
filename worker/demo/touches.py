"""What visitors of the demo's shop do, as columns: one entry per touchpoint; -1 stands for none."""

from dataclasses import dataclass, fields

import numpy as np

from worker.demo.catalogue import CAMPAIGNS, CHANNELS, EASTER_SALE, GIFTS, PRODUCTS
from worker.demo.visits import BROWSE, CART, CHECKOUT, DAY, HOUR, PRODUCT, PURCHASE, SECOND, Ints, Visits

EVENT_TYPES = (
    "ad_click",
    "email_click",
    "page_view",
    "product_view",
    "cart_add",
    "checkout_start",
    "purchase",
    "impression",
    "email_sent",
    "email_open",
    "review",
)
_AD_CLICK, _EMAIL_CLICK, _PAGE, _VIEW, _CART, _CHECKOUT, _PURCHASE, _IMPRESSION, _SENT, _OPEN, _REVIEW = range(len(EVENT_TYPES))
_OF_A_VISIT = 7  # the first seven, in the order in which they happen

_EMAIL = next(number for number, channel in enumerate(CHANNELS) if channel.name == "email")
_NEWSLETTER, _REMINDER = (next(n for n, c in enumerate(CAMPAIGNS) if c.name == name) for name in ("newsletter", "cart-reminder"))
_ADS = [number for number, channel in enumerate(CHANNELS) if channel.name in ("paid_social", "display")]
_MOST_VIEWS = 5
MOST_ITEMS = 3


@dataclass(frozen=True, slots=True)
class Touches:
    """`at` in microseconds since the shop opened; `session` numbers are unique over visits, mails, ads and reviews."""

    kind: Ints
    person: Ints
    session: Ints
    at: Ints
    channel: Ints
    campaign: Ints
    product: Ints
    cost: Ints
    score: Ints


@dataclass(frozen=True, slots=True)
class Baskets:
    """What was bought: one entry per purchase, in order of time. `products` has shape (n, MOST_ITEMS), -1 where there is no more."""

    person: Ints
    at: Ints
    products: Ints


def touches(rng: np.random.Generator, seen: Visits, signed_up: Ints, days: int) -> tuple[Touches, Baskets]:
    """All touchpoints of these visits and of the ads, mails and reviews around them, and what was bought."""
    views = _products_seen(rng, seen, days)
    counts = _counts(rng, seen)
    on_site = _on_site(rng, seen, views, counts)
    bought = on_site.kind == _PURCHASE
    visit = on_site.session[bought]
    items = np.where(np.arange(MOST_ITEMS) < counts[visit, _CART, None], views[visit, :MOST_ITEMS], -1)
    baskets = Baskets(person=seen.person[visit], at=on_site.at[bought], products=items)
    parts = [on_site, _impressions(rng, seen), _mails(rng, signed_up, days), _reminders(rng, seen), _reviews(rng, baskets)]
    first_session = np.cumsum([0] + [int(part.session.max(initial=-1)) + 1 for part in parts])
    columns = {field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(Touches)}
    columns["session"] += np.repeat(first_session[:-1], [len(part.at) for part in parts])
    inside = (columns["at"] >= 0) & (columns["at"] < days * DAY)
    return Touches(**{name: column[inside] for name, column in columns.items()}), baskets


def _counts(rng: np.random.Generator, seen: Visits) -> Ints:
    """How many touchpoints of each kind a visit has, shape (visits, 7)."""
    size = len(seen.depth)
    reaches = [seen.depth >= depth for depth in range(PURCHASE + 1)]
    counts = np.zeros((size, _OF_A_VISIT), np.int64)
    for kind in (_AD_CLICK, _EMAIL_CLICK):
        counts[:, kind] = np.array([channel.click == EVENT_TYPES[kind] for channel in CHANNELS])[seen.channel]
    counts[:, _PAGE] = 1 + reaches[BROWSE] * rng.geometric(0.6, size)
    counts[:, _CART] = reaches[CART] * rng.geometric(0.68, size).clip(max=MOST_ITEMS)
    counts[:, _VIEW] = np.maximum(reaches[PRODUCT] * rng.geometric(0.5, size).clip(max=_MOST_VIEWS), counts[:, _CART])
    counts[:, _CHECKOUT] = reaches[CHECKOUT]
    counts[:, _PURCHASE] = reaches[PURCHASE]
    return counts


def _on_site(rng: np.random.Generator, seen: Visits, views: Ints, counts: Ints) -> Touches:
    """Visits unrolled into their touchpoints: the click that led there, pages and products in any order, cart, checkout, purchase."""
    size = len(seen.person)
    flat = counts.ravel()
    visit = np.repeat(np.arange(size), counts.sum(axis=1))
    kind = np.repeat(np.tile(np.arange(_OF_A_VISIT), size), flat)
    nth = np.arange(len(kind)) - np.repeat(flat.cumsum() - flat, flat)
    place = np.where((kind == _VIEW) | ((kind == _PAGE) & (nth > 0)), _PAGE + rng.uniform(0.1, 1, len(kind)), kind)
    order = np.lexsort((place, visit))
    kind, nth = kind[order], nth[order]
    elapsed = rng.exponential(24, len(kind)).cumsum()
    starts = np.flatnonzero(np.diff(visit, prepend=-1))
    elapsed -= np.repeat(elapsed[starts], counts.sum(axis=1))
    is_named = seen.is_identified[visit] | ((kind >= _CHECKOUT) & (seen.is_known | (seen.depth == PURCHASE))[visit])
    price = np.array([campaign.click_cents for campaign in CAMPAIGNS])[seen.campaign[visit]]
    return Touches(
        kind=kind,
        person=np.where(is_named, seen.person[visit], -1),
        session=visit,
        at=seen.start[visit] + (elapsed * SECOND).astype(np.int64),
        channel=seen.channel[visit],
        campaign=seen.campaign[visit],
        product=np.where((kind == _VIEW) | (kind == _CART), views[visit, nth.clip(max=_MOST_VIEWS - 1)], -1),
        cost=np.where((kind == _AD_CLICK) & (seen.campaign[visit] >= 0), (price * rng.uniform(0.7, 1.3, len(kind))).astype(np.int64), -1),
        score=np.full(len(kind), -1),
    )


def _products_seen(rng: np.random.Generator, seen: Visits, days: int) -> Ints:
    """The products that a visit looks at, shape (visits, _MOST_VIEWS), all different: some sell better, gifts before Easter."""
    weight = np.array([product.shelf.popularity for product in PRODUCTS]) * rng.gamma(2, 0.5, len(PRODUCTS))
    is_gift = np.array([product.shelf.category == GIFTS for product in PRODUCTS])
    is_easter = np.isin(np.arange(days), EASTER_SALE)
    by_day = np.cumsum(weight * np.where(is_easter[:, None] & is_gift, 4.0, 1.0), axis=1)
    by_day = by_day / by_day[:, -1:] + np.arange(days)[:, None]  # one rising line, a unit per day
    point = (seen.start // DAY)[:, None] + rng.random((len(seen.start), _MOST_VIEWS))
    products = np.searchsorted(by_day.ravel(), point, side="right") % len(weight)
    for slot in range(1, _MOST_VIEWS):
        while (again := (products[:, :slot] == products[:, slot, None]).any(axis=1)).any():
            products[again, slot] = (products[again, slot] + 1) % len(weight)
    return products


def _impressions(rng: np.random.Generator, seen: Visits) -> Touches:
    """Ads seen in the days before the visit that came of one of them."""
    visit = np.repeat(np.arange(len(seen.person)), np.isin(seen.channel, _ADS) * rng.poisson(1.8, len(seen.person)))
    return _plain(
        kind=_IMPRESSION,
        person=np.where(seen.is_identified[visit], seen.person[visit], -1),
        session=visit,
        at=seen.start[visit] - (rng.exponential(1.2, len(visit)) * DAY).astype(np.int64) - SECOND,
        channel=seen.channel[visit],
        campaign=seen.campaign[visit],
        cost=np.ones(len(visit), np.int64),
    )


def _mails(rng: np.random.Generator, signed_up: Ints, days: int) -> Touches:
    """The newsletter: once a week, each on a weekday of their own, to all who have signed up by then. A third of it is opened."""
    day = np.arange(days)
    is_due = (np.arange(len(signed_up))[:, None] + day[None, :]) % 7 == 0
    person, mailing = np.nonzero(is_due & (signed_up[:, None] < (day * DAY)[None, :]))
    sent = mailing * DAY + 8 * HOUR + rng.integers(0, HOUR // 2, len(person))
    opens = rng.random(len(person)) < 0.31
    opened = sent[opens] + 60 * SECOND + (rng.exponential(5, opens.sum()) * HOUR).astype(np.int64)
    return _plain(
        kind=np.concatenate([np.full(len(person), _SENT), np.full(len(opened), _OPEN)]),
        person=np.concatenate([person, person[opens]]),
        session=np.concatenate([np.arange(len(person)), np.flatnonzero(opens)]),
        at=np.concatenate([sent, opened]),
        channel=_EMAIL,
        campaign=_NEWSLETTER,
    )


def _reminders(rng: np.random.Generator, seen: Visits) -> Touches:
    """A mail to known customers who left a full cart."""
    left = np.flatnonzero(seen.is_identified & np.isin(seen.depth, (CART, CHECKOUT)))
    return _plain(
        kind=_SENT,
        person=seen.person[left],
        session=np.arange(len(left)),
        at=seen.start[left] + 2 * HOUR + rng.integers(0, HOUR, len(left)),
        channel=_EMAIL,
        campaign=_REMINDER,
    )


def _reviews(rng: np.random.Generator, bought: Baskets) -> Touches:
    """What some say of the first thing that they bought, some days later; each product has its own quality."""
    quality = rng.uniform(3.2, 4.9, len(PRODUCTS))
    say = np.flatnonzero(rng.random(len(bought.at)) < 0.16)
    product = bought.products[say, 0]
    score = np.rint(rng.normal(quality[product], 0.8)).clip(1, 5).astype(np.int64)
    return _plain(
        kind=_REVIEW,
        person=bought.person[say],
        session=np.arange(len(say)),
        at=bought.at[say] + (rng.uniform(3, 12, len(say)) * DAY).astype(np.int64),
        channel=_EMAIL,
        product=product,
        score=score,
    )


def _plain(at: Ints, **given: Ints | int) -> Touches:
    """Touches whose other columns are one value for all, or none."""
    columns = {field.name: given.get(field.name, -1) for field in fields(Touches)} | {"at": at}
    return Touches(**{name: np.broadcast_to(np.asarray(column, np.int64), at.shape) for name, column in columns.items()})
