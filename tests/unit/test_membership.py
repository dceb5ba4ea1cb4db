"""The membership filter: it may say perhaps of one that is new, never no of one that is stored."""

from collections.abc import Iterable

import numpy as np
import pytest

from worker.aggregate.membership import Days, Hashes, Membership, mixed, repeated


class Table:
    """What is stored, by day; counts how often a day is loaded."""

    def __init__(self) -> None:
        self.days: dict[int, list[Hashes]] = {}
        self.loads = 0

    def load(self, day: int) -> Iterable[Hashes]:
        self.loads += 1
        return list(self.days.get(day, []))

    def store(self, days: Days, hashes: Hashes) -> None:
        for day in np.unique(days):
            self.days.setdefault(int(day), []).append(hashes[days == day])


def ids(random: np.random.Generator, count: int) -> Hashes:
    return random.integers(0, 2**64, count, np.uint64, endpoint=False)


def on(day: int, hashes: Hashes) -> Days:
    return np.full(hashes.shape, day, np.int32)


@pytest.mark.parametrize("max_bytes", [0, 20_000, 2**30])
def test_what_is_stored_is_never_called_new(seed: int, max_bytes: int) -> None:
    """Whatever the days, the growth and the forgetting."""
    random = np.random.default_rng(seed)
    table = Table()
    membership = Membership(table.load, max_bytes)
    for _ in range(60):
        new = ids(random, int(random.choice([0, 1, 10, 3000])))
        days = random.integers(0, 8, new.shape).astype(np.int32)
        membership.maybe(days, new)
        if random.random() < 0.8:
            table.store(days, new)
            membership.add(days, new)
        else:
            membership.clear()  # the commit failed
        for day, pieces in table.days.items():
            stored = np.concatenate(pieces)
            assert membership.maybe(on(day, stored), stored).all()


def test_few_new_ids_look_stored(seed: int) -> None:
    """About six in a thousand by design; over several layers a little more."""
    random = np.random.default_rng(seed)
    membership = Membership(lambda day: [], 2**30)
    for size in (1, 10, 500, 5_000, 50_000, 50_000):
        stored = ids(random, size)
        membership.maybe(on(1, stored), stored)
        membership.add(on(1, stored), stored)
    new = ids(random, 100_000)
    assert membership.maybe(on(1, new), new).mean() < 0.04
    assert not membership.maybe(on(2, new), new).any()


def test_ids_that_are_alike_are_spread(seed: int) -> None:
    """UUIDs of version 7 share their first bits, numbered ones all but their last."""
    count = np.arange(50_000, dtype=np.uint64)
    for hashes in (
        mixed(count, np.zeros_like(count)),
        mixed(np.full_like(count, 0x0190 << 48), count),
        mixed(count << np.uint64(20), count),
    ):
        assert np.unique(hashes).size == count.size
        membership = Membership(lambda day: [], 2**30)
        half = hashes[::2]
        membership.maybe(on(1, half), half)
        membership.add(on(1, half), half)
        assert membership.maybe(on(1, hashes[1::2]), hashes[1::2]).mean() < 0.02


def test_memory_is_bounded_by_forgetting_the_day_used_longest_ago(seed: int) -> None:
    random = np.random.default_rng(seed)
    table = Table()
    membership = Membership(table.load, 100_000)
    for day in range(30):
        new = ids(random, 4_000)
        membership.maybe(on(day, new), new)
        table.store(on(day, new), new)
        membership.add(on(day, new), new)
        assert membership.nbytes <= 100_000
    loads = table.loads
    recent, old = table.days[29][0], table.days[0][0]
    membership.maybe(on(29, recent), recent)
    assert table.loads == loads
    assert membership.maybe(on(0, old), old).all()
    assert table.loads == loads + 1


def test_one_day_alone_may_be_larger_than_the_bound(seed: int) -> None:
    new = ids(np.random.default_rng(seed), 50_000)
    table = Table()
    table.store(on(1, new), new)
    membership = Membership(table.load, 1_000)
    assert membership.maybe(on(1, new), new).all()
    assert membership.maybe(on(1, new), new).all()
    assert table.loads == 1


def test_repeated_ids_are_all_marked() -> None:
    assert repeated(np.array([5, 7, 5, 9, 7, 5], np.uint64)).tolist() == [True, True, True, False, True, True]
    assert repeated(np.array([], np.uint64)).tolist() == []


def test_a_day_is_loaded_once_enough_of_its_ids_have_come(seed: int) -> None:
    """Until then any may be stored: to look for few in the table is cheaper than to read all that a past day holds."""
    random = np.random.default_rng(seed)
    table = Table()
    table.store(on(1, some := ids(random, 50_000)), some)
    membership = Membership(table.load, 2**30)
    for _ in range(9):
        new = ids(random, 100)
        assert membership.maybe(on(1, new), new).all()
    assert table.loads == 0
    membership.add(on(1, new), new)  # what is not loaded learns nothing: the table knows
    new = ids(random, 100)
    assert membership.maybe(on(1, new), new).mean() < 0.1
    assert membership.maybe(on(1, some), some).all()
    assert table.loads == 1
