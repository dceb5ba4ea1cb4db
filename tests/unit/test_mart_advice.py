"""What the marts' own books say of them."""

from typing import Any

import pytest

from tests.support.marts import mart
from worker.marts.advice import Finding, advise

MARTS = {
    each.name: each
    for each in (
        mart("whole", "", "select order_id from order_current", grain="order_id", reads="order_current"),
        mart("keyed", 'unit = "customer"', "select customer_id from order_current", grain="customer_id", reads="order_current"),
    )
}


def runs(*seconds: float, mart: str = "whole", **fields: Any) -> list[dict[str, Any]]:
    one = {"mart": mart, "state": "done", "reason": "", "dirty_share": 0.01, "message": ""} | fields
    return [one | {"seconds": took} for took in seconds]


def found(*seconds: float) -> list[Finding]:
    return [advice.finding for advice in advise(runs(*seconds), MARTS)]


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        ([1.0] * 10, []),
        ([300.0] * 10, []),
        ([301.0] * 10, [Finding.SLOW, Finding.UNSTEADY]),
        ([601.0] * 10, [Finding.VERY_SLOW, Finding.UNSTEADY]),
        ([301.0] * 2 + [100.0] * 8, []),
        ([301.0] * 3 + [100.0] * 7, [Finding.UNSTEADY]),
        ([10.0] * 9 + [15.0], []),
        ([10.0] * 9 + [15.1], [Finding.SLOWER]),
    ],
)
def test_a_mart_is_slow_unsteady_or_slower_than_it_was(seconds: list[float], expected: list[Finding]) -> None:
    assert found(*seconds) == expected


def test_a_mart_that_fails_is_told_with_its_message() -> None:
    (advice,) = advise(runs(1.0) + runs(0.1, state="failed", message="no such column"), MARTS)
    assert (advice.finding, advice.evidence) == (Finding.FAILING, "no such column")
    assert advise(runs(0.1, state="failed") + runs(1.0), MARTS) == []


@pytest.mark.parametrize(
    ("history", "remedy"),
    [
        (runs(400.0), "computed as a whole"),
        (runs(400.0, mart="keyed", reason="days were sealed"), "mostly computed in full (days were sealed)"),
        (runs(400.0, mart="keyed", dirty_share=0.6), "Most of it is dirty each time"),
        (runs(400.0, mart="keyed"), "store.memory_limit"),
    ],
)
def test_what_to_do_depends_on_what_the_refreshes_have_in_common(history: list[dict[str, Any]], remedy: str) -> None:
    assert remedy in advise(history, MARTS)[0].remedy


def test_of_a_mart_that_nothing_defines_any_more_that_is_all_there_is_to_say() -> None:
    (advice,) = advise(runs(400.0, mart="old") + runs(0.1, mart="old", state="failed"), MARTS)
    assert (advice.finding, advice.remedy) == (Finding.GONE, "Put its file back, or: tidemark marts drop old")
