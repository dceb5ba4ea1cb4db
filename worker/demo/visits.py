"""Who comes to the demo's shop, when, by which channel, and how far each visit goes. Arrays only: one entry per person or visit.

Orders repeat after Fader, Hardie and Lee's BG/NBD: every customer has an own rate of ordering and an own chance of never coming back.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from worker.demo.catalogue import CAMPAIGNS, CHANNELS, PLACES

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

SECOND = 1_000_000
HOUR = 3_600 * SECOND
DAY = 24 * HOUR
NEVER = np.iinfo(np.int64).max

BOUNCE, BROWSE, PRODUCT, CART, CHECKOUT, PURCHASE = range(6)  # how far a visit goes
_DEPTHS = (0.34, 0.17, 0.31, 0.12, 0.06)  # of visits that end without a purchase

_HOURS = np.array([1.2, 0.8, 0.5, 0.3, 0.3, 0.5, 1.0, 2.0, 3.0, 3.8, 4.2, 4.6, 4.9, 4.5, 4.2, 4.1, 4.3, 4.8, 5.6, 6.4, 6.6, 5.6, 3.8, 2.2])
_WEEKDAYS = np.array([1.05, 1.0, 0.96, 0.98, 0.92, 1.02, 1.22])  # Monday first, as the shop opens on one
_MOST_VISITS = 6  # before a first order


@dataclass(frozen=True, slots=True)
class People:
    """Everyone who ever comes: the day of the first visit, the channel of it, and what the person is like."""

    first_day: Ints
    channel: Ints
    place: Ints
    is_buyer: Flags
    daily_orders: Floats  # rate of ordering while loyal
    dropout: Floats  # chance that an order is the last
    subscribes: Flags


@dataclass(frozen=True, slots=True)
class Visits:
    """Sessions in order of time. `start` in microseconds since the shop opened; `campaign` is -1 where there is none."""

    person: Ints
    start: Ints
    channel: Ints
    campaign: Ints
    depth: Ints
    is_known: Flags  # the person had signed up before
    is_identified: Flags  # from the first event on; else from the checkout on, if there is one

    def where(self, rows: Flags | Ints) -> "Visits":
        return Visits(*(getattr(self, field.name)[rows] for field in fields(self)))


def people(rng: np.random.Generator, count: int, days: int) -> People:
    """`count` visitors whose first days follow growth, the weekday and the campaigns of their channel."""
    day = np.arange(days)
    arrivals = np.outer((0.55 + 0.9 * day / days) * _WEEKDAYS[day % 7], [channel.share for channel in CHANNELS])
    for campaign in CAMPAIGNS:
        arrivals[campaign.first_day : campaign.last_day + 1, _channel(campaign.channel)] *= campaign.lift
    first_day, channel = np.divmod(draw(rng, arrivals.ravel(), count), len(CHANNELS))
    traits = np.array([(c.conversion, c.days_between, c.dropout) for c in CHANNELS])[channel]
    early = 1.25 - 0.5 * first_day / days  # the first to find a shop are its most faithful
    dropout = np.clip(traits[:, 2] / early, 0.02, 0.9)
    return People(
        first_day=first_day,
        channel=channel,
        place=draw(rng, np.array([place.share for place in PLACES]), count),
        is_buyer=rng.random(count) < traits[:, 0],
        daily_orders=rng.gamma(1.2, early / 1.2 / traits[:, 1]),
        dropout=rng.beta(2 * dropout, 2 * (1 - dropout)),
        subscribes=rng.random(count) < 0.16,
    )


def visits(rng: np.random.Generator, who: People, days: int) -> tuple[Visits, Ints]:
    """All visits of these people in `days` days, and the microsecond at which each person signed up (NEVER for most)."""
    parts = [_first_visits(rng, who)]
    parts += _later_orders(rng, who, parts[0], days)
    person, day, depth, is_first = (np.concatenate(column) for column in zip(*parts, strict=True))
    inside = day < days
    person, day, depth, is_first = person[inside], day[inside], depth[inside], is_first[inside]
    channel = np.where(is_first, who.channel[person], _return_channel(rng, who.channel[person]))
    start = times_on(rng, day, days)
    order = np.argsort(start, kind="stable")
    person, start, channel, depth = person[order], start[order], channel[order], depth[order]
    signed_up = _signed_up(rng, who, person, start, depth)
    is_known = signed_up[person] < start
    return (
        Visits(
            person=person,
            start=start,
            channel=channel,
            campaign=campaign_of(rng, channel, start // DAY),
            depth=depth,
            is_known=is_known,
            is_identified=is_known & (rng.random(len(person)) < 0.72),
        ),
        signed_up,
    )


def times_on(rng: np.random.Generator, day: Ints, days: int) -> Ints:
    """A moment on each of these days, in microseconds since the opening; the last hour of all is left for what visits end with."""
    moment = day * DAY + draw(rng, _HOURS, len(day)) * HOUR + rng.integers(0, HOUR, len(day))
    latest: Ints = np.minimum(moment, days * DAY - HOUR)
    return latest


def campaign_of(rng: np.random.Generator, channel: Ints, day: Ints) -> Ints:
    """One of the campaigns that run in that channel on that day, -1 where none does."""
    running = np.array([(_channel(c.channel) == channel) & (c.first_day <= day) & (day <= c.last_day) for c in CAMPAIGNS])
    pick = np.where(running, rng.random(running.shape), -1.0).argmax(axis=0)
    return np.where(running.any(axis=0), pick, -1)


_Part = tuple[Ints, Ints, Ints, Flags]  # person, day, depth, is the person's first visit


def _first_visits(rng: np.random.Generator, who: People) -> _Part:
    """Each person's visits up to the first order, or up to losing interest."""
    count = len(who.first_day)
    number = np.where(who.is_buyer, rng.geometric(0.48, count), rng.geometric(0.7, count)).clip(max=_MOST_VISITS)
    gaps = rng.exponential(1.9, (count, _MOST_VISITS))
    gaps[:, 0] = 0
    day = who.first_day[:, None] + np.floor(gaps.cumsum(axis=1)).astype(np.int64)
    step = np.arange(_MOST_VISITS)[None, :]
    comes = step < number[:, None]
    depth = draw(rng, np.array(_DEPTHS), comes.size).reshape(comes.shape)
    depth[who.is_buyer[:, None] & (step == number[:, None] - 1)] = PURCHASE
    person = np.broadcast_to(np.arange(count)[:, None], comes.shape)
    return person[comes], day[comes], depth[comes], np.broadcast_to(step == 0, comes.shape)[comes]


def _later_orders(rng: np.random.Generator, who: People, first: _Part, days: int) -> list[_Part]:
    """Every order after the first, with the visits on the days before it, one round of orders at a time."""
    parts: list[_Part] = []
    ordered = first[2] == PURCHASE
    person, day = first[0][ordered], first[1][ordered]
    while True:
        stays = rng.random(len(person)) >= who.dropout[person]
        person, day = person[stays], day[stays]
        day = day + 1 + np.floor(rng.exponential(1 / who.daily_orders[person])).clip(max=days).astype(np.int64)
        person, day = person[day < days], day[day < days]
        if not len(person):
            return parts
        parts.append((person, day, np.full(len(person), PURCHASE), np.zeros(len(person), bool)))
        looks = np.repeat(np.arange(len(person)), rng.poisson(0.9, len(person)))
        before = np.maximum(day[looks] - rng.integers(0, 6, len(looks)), 0)
        depth = draw(rng, np.array(_DEPTHS), len(looks))
        parts.append((person[looks], before, depth, np.zeros(len(looks), bool)))


def _return_channel(rng: np.random.Generator, own: Ints) -> Ints:
    """Who comes again often comes the same way; else by name, by mail, or called back by an ad."""
    other = draw(rng, np.array([channel.return_share for channel in CHANNELS]), len(own))
    return np.where(rng.random(len(own)) < 0.3, own, other)


def _signed_up(rng: np.random.Generator, who: People, person: Ints, start: Ints, depth: Ints) -> Ints:
    """When each person becomes a customer with an id: at the first order, or at the end of some visit, for the newsletter."""
    moment = np.full(len(who.first_day), NEVER)
    joins = (depth == PURCHASE) | (who.subscribes[person] & (rng.random(len(person)) < 0.6))
    np.minimum.at(moment, person[joins], start[joins])
    return moment


def _channel(name: str) -> int:
    return [channel.name for channel in CHANNELS].index(name)


def draw(rng: np.random.Generator, weights: Floats, count: int) -> Ints:
    """`count` indices, each with probability proportional to its weight."""
    cumulative = np.cumsum(weights)
    drawn: Ints = np.searchsorted(cumulative, rng.random(count) * cumulative[-1], side="right")
    return drawn
