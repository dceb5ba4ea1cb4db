"""The reference of the marts, on the contract's and on published figures that can be checked apart from it."""

from datetime import date
from fractions import Fraction

import pytest

from tests.support.mart_reference import EXPECTED, SEEN_THROUGH, WRITTEN_ONCE
from tests.support.mart_reference.attribution import markov, shared_out
from tests.support.mart_reference.events import months_back, tiles
from tests.support.mart_reference.segments import lifecycle_stage, rfm_segment
from tests.support.mart_reference.value import BgNbd, History, discounted, expected_value
from worker.marts.definition import built_in, with_inputs

HALF = Fraction(1, 2)
CDNOW = BgNbd(r=0.242595, alpha=4.413602, a=0.792922, b=2.425907)


def test_removing_a_channel_takes_away_what_ran_through_it() -> None:
    converting = [[("C1",), ("C2",), ("C3",)]]
    whole, effects = markov(converting, nulls=[[("C1",)], [("C2",), ("C3",)]])
    assert whole == Fraction(1, 3)
    assert effects == {("C1",): HALF, ("C2",): 1, ("C3",): 1}


def test_a_channel_after_itself_changes_nothing() -> None:
    converting, nulls = [[("C1",), ("C1",), ("C2",)]], [[("C1",), ("C2",), ("C2",)], [("C2",)]]
    once = markov([[("C1",), ("C2",)]], [[("C1",), ("C2",)], [("C2",)]])
    assert markov(converting, nulls) == once


@pytest.mark.parametrize(("value", "parts"), [(100, [34, 33, 33]), (-100, [-34, -33, -33]), (2, [1, 1, 0]), (0, [0, 0, 0])])
def test_cents_are_shared_out_to_the_last_one(value: int, parts: list[int]) -> None:
    assert shared_out(value, [Fraction(1, 3)] * 3) == parts


def test_quintiles_do_not_split_ties() -> None:
    assert tiles({"a": 1, "b": 1, "c": 1, "d": 2, "e": 3}, 5) == {"a": 1, "b": 1, "c": 1, "d": 4, "e": 5}


def test_a_month_before_is_clamped_to_its_end() -> None:
    assert months_back(date(2024, 3, 31), 1) == date(2024, 2, 29)
    assert months_back(date(2024, 2, 29), 12) == date(2023, 2, 28)


def test_segments_are_the_first_that_match() -> None:
    assert [rfm_segment(*scores) for scores in ((4, 4, 4), (3, 3, 5), (5, 1, 5), (2, 3, 3), (1, 1, 1), (3, 1, 4), (3, 4, 2))] == [
        *("Champions", "Loyal Customers", "New Customers", "At Risk", "Lost Customers", "Big Spenders", "Frequent Buyers")
    ]


def test_who_comes_back_after_a_long_gap_is_reactivated() -> None:
    as_of = date(2026, 6, 30)
    assert lifecycle_stage(as_of, [date(2025, 1, 1), date(2026, 6, 1), date(2026, 6, 20)]) == "Reactivated"
    assert lifecycle_stage(as_of, [date(2025, 12, 1), date(2026, 5, 30)]) == "Active"


def test_the_published_expectation_of_a_customer_of_cdnow() -> None:
    """Fader, Hardie, Lee 2005, in weeks: two repeat purchases, the last at 30.43 of 38.86, in the next 39 weeks."""
    weeks = History(x=2, t_x=30.43, age=38.86, mean_value=None)
    assert CDNOW.expected(weeks, 39).real == pytest.approx(1.226, abs=5e-4)


def test_the_published_value_of_the_first_customer_of_cdnow() -> None:
    """12 months of 4.345 weeks at 1 % a month, mean 22.35 of two repeat purchases."""
    first = History(x=2, t_x=30.43, age=38.86, mean_value=22.35)
    value = expected_value(6.25, 3.74, 15.44, first)
    assert discounted(lambda weeks: CDNOW.expected(first, weeks), value, days=4.345, rate=0.01).real == pytest.approx(36.28, rel=2e-3)


def test_every_mart_has_an_expectation() -> None:
    """One that is internal may be seen through those that read it; the contract's own may not."""
    marts = built_in()
    assert sorted([*EXPECTED, *WRITTEN_ONCE, *SEEN_THROUGH]) == sorted(marts)
    assert all(marts[name].front.internal for name in SEEN_THROUGH)
    for name, shown_by in SEEN_THROUGH.items():
        assert all(name in with_inputs([other], marts) for other in shown_by)
