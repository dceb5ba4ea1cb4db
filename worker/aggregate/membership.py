"""Is this id perhaps there already? A blocked Bloom filter per day, so that new ids never cost a scan of a table."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Hashes: TypeAlias = npt.NDArray[np.uint64]
Days: TypeAlias = npt.NDArray[np.int32]
Mask: TypeAlias = npt.NDArray[np.bool_]

_IDS_PER_WORD = 4  # 16 bits an id: 0.56 % false positives with 4 bits set in one word
_FIRST_WORDS = 256
_ASKED_BEFORE_LOAD = 1_000  # ids; to load a large day costs as much as looking for so many in the table, some at a time


def mixed(high: Hashes, low: Hashes) -> Hashes:
    """64 well-spread bits of 128-bit ids (the finaliser of MurmurHash3), whichever of their bits are the random ones."""
    h = (high * np.uint64(0x9E3779B97F4A7C15)) ^ low
    h ^= h >> np.uint64(33)
    h *= np.uint64(0xFF51AFD7ED558CCD)
    h ^= h >> np.uint64(33)
    h *= np.uint64(0xC4CEB9FE1A85EC53)
    return h ^ (h >> np.uint64(33))


def repeated(hashes: Hashes) -> Mask:
    """True where a hash stands more than once, shape (n,)."""
    ordered = np.sort(hashes)
    twice = ordered[1:][ordered[1:] == ordered[:-1]]
    return np.isin(hashes, twice) if twice.size else np.zeros(hashes.shape, np.bool_)


def _runs(days: Days) -> Iterator[tuple[int, slice]]:
    """Each day with where it stands, once for each time that it does."""
    starts = [0, *(np.flatnonzero(days[1:] != days[:-1]) + 1).tolist()] if len(days) else []
    for first, after in pairwise([*starts, len(days)]):
        yield int(days[first]), slice(first, after)


@dataclass(slots=True)
class _Layer:
    words: Hashes
    ids: int = 0

    @property
    def room(self) -> int:
        return len(self.words) * _IDS_PER_WORD - self.ids

    def places(self, hashes: Hashes) -> tuple[npt.NDArray[np.intp], Hashes]:
        """The word of each hash, and its four bits in that word."""
        index = ((hashes >> np.uint64(32)) * np.uint64(len(self.words))) >> np.uint64(32)
        one, six = np.uint64(1), np.uint64(63)
        bits = one << (hashes & six)
        for shift in (6, 12, 18):
            bits |= one << ((hashes >> np.uint64(shift)) & six)
        return index.astype(np.intp), bits


@dataclass(slots=True)
class _Day:
    """The ids of one day: layers, each twice as large as the one before, so that a day grows without a second look at its ids."""

    layers: list[_Layer] = field(default_factory=list)

    def maybe(self, hashes: Hashes) -> Mask:
        found = np.zeros(hashes.shape, np.bool_)
        for layer in self.layers:
            index, bits = layer.places(hashes)
            found |= (layer.words[index] & bits) == bits
        return found

    def add(self, hashes: Hashes) -> None:
        while hashes.size:
            if not self.layers or not self.layers[-1].room:
                words = max(_FIRST_WORDS, 2 * len(self.layers[-1].words) if self.layers else 0, -(-hashes.size // _IDS_PER_WORD))
                self.layers.append(_Layer(np.zeros(words, np.uint64)))
            layer = self.layers[-1]
            some, hashes = hashes[: layer.room], hashes[layer.room :]
            index, bits = layer.places(some)
            np.bitwise_or.at(layer.words, index, bits)
            layer.ids += some.size

    @property
    def nbytes(self) -> int:
        return sum(layer.words.nbytes for layer in self.layers)


class Membership:
    """Which (day, id) may be stored already. Never says no of one that is; memory is bounded by forgetting the day used longest ago.

    `load` yields the stored hashes of one day: the table is the truth, this only a shortcut to it. It is asked once enough ids of the day
    have come; until then any may be stored. So the few late events of a day do not cost a look at all that it holds.
    """

    def __init__(self, load: Callable[[int], Iterable[Hashes]], max_bytes: int) -> None:
        self._load = load
        self._max_bytes = max_bytes
        self._days: OrderedDict[int, _Day] = OrderedDict()
        self._asked: Counter[int] = Counter()  # ids, of days that are not loaded
        self.nbytes = 0  # memory held

    def maybe(self, days: Days, hashes: Hashes) -> Mask:
        """True where (day, id) may be stored already; days (epoch days) and hashes have shape (n,), days best in order."""
        found = np.zeros(hashes.shape, np.bool_)
        for day, run in _runs(days):
            known = self._day(day, run.stop - run.start)
            found[run] = known is None or known.maybe(hashes[run])
        return found

    def add(self, days: Days, hashes: Hashes) -> None:
        """Remember ids that were committed. A day that was forgotten meanwhile is loaded again when it is next asked for."""
        for day, run in _runs(days):
            known = self._days.get(day)
            if known is not None:
                self._grow(known, hashes[run])
        self._forget()

    def clear(self) -> None:
        """Forget all: after a failure the table alone knows what is stored."""
        self._days.clear()
        self._asked.clear()
        self.nbytes = 0

    def _day(self, day: int, asked: int) -> _Day | None:
        """What is known of a day of which so many ids are asked for; None while it is not worth loading."""
        known = self._days.get(day)
        if known is None:
            self._asked[day] += asked
            if self._asked[day] < _ASKED_BEFORE_LOAD:
                return None
            known = _Day()
            for hashes in self._load(day):
                self._grow(known, hashes)
            self._days[day] = known
            del self._asked[day]
            self._forget()
        self._days.move_to_end(day)
        return known

    def _grow(self, day: _Day, hashes: Hashes) -> None:
        before = day.nbytes
        day.add(hashes)
        self.nbytes += day.nbytes - before

    def _forget(self) -> None:
        while self.nbytes > self._max_bytes and len(self._days) > 1:
            self.nbytes -= self._days.popitem(last=False)[1].nbytes
