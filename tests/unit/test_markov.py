"""Markov chains of journeys: removal effects by hand, as published, and by walking the chain."""

import itertools
import math
from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.mart_reference import attribution
from tests.support.path_data import path_data
from worker.marts.models.markov import CONVERSION, NULL, START, Chain, chain, shared_out

Journey = tuple[Sequence[str], int, int]  # states, how many converted, how many did not


def chain_of(*journeys: Journey) -> Chain[str]:
    counts: Counter[tuple[str, str]] = Counter()
    for states, converted, not_converted in journeys:
        for step in itertools.pairwise([START, *states]):
            counts[step] += converted + not_converted
        counts[states[-1], CONVERSION] += converted
        counts[states[-1], NULL] += not_converted
    return chain(counts)


def test_three_journeys_by_hand() -> None:
    """Without C1 one of two ways is left, without C2 or C3 none."""
    found = chain_of((["C1", "C2", "C3"], 1, 0), (["C1"], 0, 1), (["C2", "C3"], 0, 1))
    assert found.probability == pytest.approx(1 / 3)
    assert found.effects == pytest.approx({"C1": 0.5, "C2": 1, "C3": 1})
    total = sum(found.effects.values())
    assert [effect / total for effect in found.effects.values()] == pytest.approx([0.2, 0.4, 0.4])


def test_path_data_as_published() -> None:
    paths = path_data()
    conversions = sum(path.conversions for path in paths)
    found = chain_of(*((path.channels, path.conversions, path.nulls) for path in paths))
    assert conversions == 19_785
    assert found.probability == pytest.approx(0.2238451356, abs=5e-11)
    assert found.effects["alpha"] == pytest.approx(0.558399, abs=5e-7)
    assert conversions * found.effects["alpha"] / sum(found.effects.values()) == pytest.approx(5344.9477, abs=5e-5)


def test_states_that_lead_back_to_themselves() -> None:
    found = chain_of((["a", "a", "a", "b"], 3, 1), (["b", "a", "b"], 2, 9), (["a"], 0, 1))
    assert 0 < found.effects["a"] < found.effects["b"] == pytest.approx(1)


def test_journeys_that_never_convert_have_no_effects() -> None:
    assert chain_of((["a", "b"], 0, 2)) == Chain(0.0, {"a": 0.0, "b": 0.0})


JOURNEYS = st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=6), min_size=1, max_size=8)


@given(converting=JOURNEYS, nulls=JOURNEYS)
def test_a_chain_is_that_of_exact_arithmetic(converting: list[list[str]], nulls: list[list[str]]) -> None:
    whole, effects = attribution.markov(
        [[(state,) for state in path] for path in converting], [[(state,) for state in path] for path in nulls]
    )
    found = chain_of(*((path, 1, 0) for path in converting), *((path, 0, 1) for path in nulls))
    assert found.probability == pytest.approx(float(whole), rel=1e-9)
    assert found.effects == pytest.approx({state: float(effect) for (state,), effect in effects.items()}, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(
    ("value", "shares", "parts"),
    [
        (100, [0.2, 0.4, 0.4], [20, 40, 40]),
        (1, [1 / 3, 1 / 3, 1 / 3], [1, 0, 0]),
        (2, [2 / 3, 1 / 6, 1 / 6], [2, 0, 0]),  # remainders 1/3, 1/3, 1/3
        (-5, [0.5, 0.5], [-3, -2]),
        (0, [0.5, 0.5], [0, 0]),
        (10, [0.33, 0.33, 0.34], [3, 3, 4]),
    ],
)
def test_cents_are_shared_out_by_largest_remainder(value: int, shares: list[float], parts: list[int]) -> None:
    assert shared_out(value, shares) == parts


@pytest.mark.parametrize("value", [5, 100_000_005, 10_000_000_005, 10**12 + 5])
def test_shares_that_differ_by_no_more_than_doubles_are_wrong_by_are_a_tie(value: int) -> None:
    tenth = value // 10
    assert shared_out(value, [0.1, math.nextafter(0.1, 1), 0.8]) == [tenth + 1, tenth, value - 2 * tenth - 1]


@given(value=st.integers(-(10**15), 10**15), weights=st.lists(st.integers(1, 10**6), min_size=1, max_size=20))
def test_no_cent_is_lost(value: int, weights: list[int]) -> None:
    shares = [weight / sum(weights) for weight in weights]
    parts = shared_out(value, shares)
    assert sum(parts) == value
    assert all(abs(part - value * share) < 1 + abs(value) * 1e-12 for part, share in zip(parts, shares, strict=True))
