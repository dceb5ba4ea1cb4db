"""Expected and actual rows of a mart side by side, in sentences: integers and texts exactly, doubles within 1e-9 of each other."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from tests.support.reference import Row

CLOSE = 1e-9


def mart_differences(
    name: str, key: Sequence[str], expected: Iterable[Row], found: Iterable[Row], columns: Sequence[str] = ()
) -> list[str]:
    """What is not as expected, in the columns that are expected; those whose names begin with _ are the reference's own.

    Each of `columns` must be expected.
    """
    wanted, there = list(expected), list(found)
    lines = [f"{name} {of}: {count} times" for of, count in Counter(_key(row, key) for row in there).items() if count > 1]
    lines += [f"{name} {of}: expected {count} times" for of, count in Counter(_key(row, key) for row in wanted).items() if count > 1]
    by_key = {_key(row, key): row for row in there}
    for row in wanted:
        lines += [f"{name}: nothing is expected of the column {column}" for column in columns if column not in row]
        of = _key(row, key)
        if of not in by_key:
            lines.append(f"{name} {of}: expected, is not there: {_shown(row)}")
            continue
        actual = by_key.pop(of)
        for column, value in _shown(row).items():
            if column not in actual:
                lines.append(f"{name}: there is no column {column}")
            elif not same(value, actual[column]):
                lines.append(f"{name} {of}: {column} expected {value!r}, is {actual[column]!r}")
    lines += [f"{name} {of}: is there, not expected: {row}" for of, row in by_key.items()]
    return sorted(set(lines))


def same(expected: Any, found: Any) -> bool:
    """A double may differ in the last digits; what is whole may not, and nothing is NaN."""
    if isinstance(found, float):
        return isinstance(expected, int | float) and math.isclose(expected, found, rel_tol=CLOSE, abs_tol=CLOSE)
    return isinstance(found, bool) == isinstance(expected, bool) and bool(found == expected)


def _key(row: Row, key: Sequence[str]) -> tuple[Any, ...]:
    return tuple(row[column] for column in key)


def _shown(row: Row) -> Row:
    return {column: value for column, value in row.items() if not column.startswith("_")}
