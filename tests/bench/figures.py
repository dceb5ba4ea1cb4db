"""The exact figures that a worker must come to, made by numpy from the shop's columns, and whether a file has them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import TypeAlias

import duckdb
import numpy as np

from tests.bench.encoding import Ints

Row: TypeAlias = tuple[object, ...]

_EPOCH = date(1970, 1, 1)

CHANNELS = ("direct", "organic", "paid_search", "paid_social", "display", "email", "affiliate", "referral")
NOBODY = -1

_SALES = "select day, sum(orders), sum(customers), sum(net_cents) from daily_sales group by day order by day"
_REACH = "select day, channel, touchpoints, customers, cost_cents from daily_reach order by day, channel"


@dataclass(frozen=True, slots=True)
class Facts:
    """What is to be counted, each of shape (n,): a row's group, its member (NOBODY: none), its amount. All below 2**31 but the amount."""

    group: Ints
    member: Ints
    amount: Ints


@dataclass(frozen=True, slots=True)
class _Part:
    """Facts by group, ascending: rows and sum of amounts; and which members there are, group * 2**32 + member, each once."""

    groups: Ints
    rows: Ints
    sums: Ints
    members: Ints


@dataclass(frozen=True, slots=True)
class Tally:
    """Rows, different members and the sum of each group. Tallies add up to that of all their facts."""

    parts: tuple[_Part, ...] = ()

    @staticmethod
    def of(facts: Facts) -> "Tally":
        groups, at, rows = np.unique(facts.group, return_inverse=True, return_counts=True)
        known = facts.member != NOBODY
        return Tally((_Part(groups, rows, _sums(at, facts.amount), np.unique(facts.group[known] << 32 | facts.member[known])),))

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(self.parts + other.parts)

    def rows(self) -> list[tuple[int, int, int, int]]:
        """(group, rows, different members, sum), ascending."""
        groups, at = np.unique(np.concatenate([part.groups for part in self.parts]), return_inverse=True)
        rows = _sums(at, np.concatenate([part.rows for part in self.parts]))
        sums = _sums(at, np.concatenate([part.sums for part in self.parts]))
        members = np.unique(np.concatenate([part.members for part in self.parts])) >> 32
        distinct = np.bincount(np.searchsorted(groups, members), minlength=len(groups))
        return list(zip(groups.tolist(), rows.tolist(), distinct.tolist(), sums.tolist(), strict=True))


@dataclass(frozen=True, slots=True)
class Expected:
    """What the tables must hold. `orders` by day; `touchpoints` by day * len(CHANNELS) + channel."""

    orders: Tally = Tally()
    touchpoints: Tally = Tally()

    def __add__(self, other: "Expected") -> "Expected":
        return Expected(self.orders + other.orders, self.touchpoints + other.touchpoints)

    def sales(self) -> list[Row]:
        """(day, orders, customers, net_cents) of counted orders, ascending."""
        return [(_date(day), *rest) for day, *rest in self.orders.rows()]

    def reach(self) -> list[Row]:
        """(day, channel, touchpoints, customers, cost_cents), ascending."""
        some = ((*divmod(group, len(CHANNELS)), *rest) for group, *rest in self.touchpoints.rows())
        return sorted((_date(day), CHANNELS[channel], *rest) for day, channel, *rest in some)

    def check(self, path: Path) -> None:
        """Exits where the worker's file has other figures."""
        with duckdb.connect(str(path), read_only=True) as connection:
            _compare("orders, customers and net by day", connection.execute(_SALES).fetchall(), self.sales())
            _compare("touchpoints, customers and cost by day and channel", connection.execute(_REACH).fetchall(), self.reach())


def _compare(what: str, found: Iterable[Row], expected: Iterable[Row]) -> None:
    if wrong := sorted(set(found) ^ set(expected), key=str):
        raise SystemExit(f"{what} are wrong in {len(wrong)} rows; the first, found or expected: {wrong[:6]}")


def _sums(groups: Ints, values: Ints) -> Ints:
    """Exact sums by group (bincount with weights would add doubles)."""
    sums = np.zeros(int(groups.max(initial=-1)) + 1, np.int64)
    np.add.at(sums, groups, values)
    return sums


def _date(days: int) -> date:
    return _EPOCH + timedelta(days=days)
