"""The picture of the comparison can be read, however many nights there are and wherever the lines end."""

from collections import Counter
from collections.abc import Sequence
from datetime import date, timedelta
from itertools import combinations
from typing import Any

import pytest

from worker.approaches.compare import (
    BY_COLUMN,
    BY_KEY,
    FULL_BATCH,
    STAGING,
    TIDEMARK,
    WINDOW,
    Comparison,
    NightlyRun,
    Outcome,
    Setup,
    WrongDay,
)
from worker.approaches.picture import made
from worker.approaches.tables import Reads

FIRST = date(2026, 3, 2)
LINES = [(FULL_BATCH, BY_COLUMN), (STAGING, BY_COLUMN), (WINDOW, BY_COLUMN), (TIDEMARK, BY_COLUMN), (TIDEMARK, BY_KEY)]


def comparison(nights: int, last: Sequence[int], wrong: Sequence[WrongDay] = ()) -> Comparison:
    """Five lines that grow evenly to the bytes of `last`."""
    outcomes = []
    for (approach, counted), most in zip(LINES, last, strict=True):
        runs = [NightlyRun(FIRST + timedelta(days=n), 1, most * (n + 1) // nights, 0.1, 0.1) for n in range(nights)]
        outcomes.append(Outcome(approach, "DuckDB", counted, Reads(Counter(), Counter()), runs, list(wrong)))
    return Comparison(Setup(days=nights), 1, {}, outcomes)


def overlapping(texts: Sequence[Any]) -> list[tuple[str, str]]:
    shown = [text for text in texts if text.get_text()]
    assert len(shown) > 1
    return [(a.get_text(), b.get_text()) for a, b in combinations(shown, 2) if a.get_window_extent().overlaps(b.get_window_extent())]


@pytest.mark.parametrize("nights", [7, 8, 30, 31, 61, 90, 730])
@pytest.mark.parametrize("last", [(10**6,) * 5, (10**6, 990_000, 980_000, 970_000, 50_000), (9**6, 8**6, 7**6, 6**6, 5**6)])
def test_neither_dates_nor_names_lie_over_each_other(nights: int, last: tuple[int, ...]) -> None:
    figure = made(comparison(nights, last, [WrongDay(FIRST, 1, {"USD": 4200}, 0)]))
    figure.draw_without_rendering()
    reads, errors = figure.axes
    assert errors.get_xticklabels()[0].get_text() == "2026-03-02"
    assert overlapping(errors.get_xticklabels()) == []
    assert overlapping(reads.texts) == []
    assert min(text.get_window_extent().y0 for text in reads.texts) > reads.get_window_extent().y0


def test_without_a_wrong_day_there_is_nothing_to_measure() -> None:
    figure = made(comparison(8, (10**6,) * 5))
    assert figure.axes[1].get_ylim() == (-1, 1)
