"""CDNOW as the papers on customer value have it: weeks, calibration to 1997-09-30, 39 weeks of holdout.

Needs the wheel that make demo-real keeps.
"""

import csv
import io
import zipfile
from collections import defaultdict
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from worker.demo import cdnow

Array = NDArray[np.float64]
_END = date(1997, 9, 30)


def purchases() -> list[cdnow.Purchase]:
    """Those of the whole sample, to 1998-06-30."""
    return cdnow.purchases(_wheel())


@dataclass(frozen=True, slots=True)
class Sample:
    """Of shape (2,357,): repeat purchases, weeks, dollars of a repeat purchase (0 where there is none), purchases of the holdout."""

    x: Array
    t_x: Array
    age: Array
    mean_value: Array
    held_out: Array


def sample() -> Sample:
    """Counted from the purchases, those of one day as one."""
    by_day: dict[str, dict[date, int]] = defaultdict(lambda: defaultdict(int))
    for purchase in purchases():
        by_day[purchase.customer_id][purchase.day] += purchase.cents
    rows = []
    for _, cents in sorted(by_day.items()):
        days = sorted(day for day in cents if day <= _END)
        held_out = sum(_END < day <= _END + timedelta(weeks=39) for day in cents)
        x, spent = len(days) - 1, sum(cents[day] for day in days[1:])
        rows.append((x, (days[-1] - days[0]).days / 7, (_END - days[0]).days / 7, spent / x / 100 if x else 0, held_out))
    return Sample(*np.array(rows, dtype=np.float64).T)


def published_summary() -> Sample:
    """The summary that comes with the sample, rounded to hundredths; without a holdout."""
    with zipfile.ZipFile(_wheel()) as archive:
        text = archive.read("lifetimes/datasets/cdnow_customers_summary_with_transactions.csv").decode()
    _, *rows = csv.reader(io.StringIO(text))
    _, x, t_x, age, mean_value = np.array(rows, dtype=np.float64).T
    return Sample(x, t_x, age, mean_value, np.zeros_like(x))


def _wheel() -> Path:
    wheel = cdnow.CACHE / cdnow.WHEEL
    if not wheel.is_file():
        pytest.skip(f"{wheel} is not there: make demo-real fetches it")
    return wheel
