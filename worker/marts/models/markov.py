"""Markov chains of journeys: what would be lost without a state (Anderl, Becker, von Wangenheim, Schumann 2016).

A journey goes from START through its states to CONVERSION or NULL. Counts of transitions add up over journeys, so a chain needs no more
than those.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Generic, TypeVar

import numpy as np

START, CONVERSION, NULL = "(start)", "(conversion)", "(null)"
_NOISE = 1e-15  # what shares of equal states differ by, at most, by a tenfold margin
_LEAST = 1e-9  # of a cent

State = TypeVar("State", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Chain(Generic[State]):
    """`probability`: of a conversion from the start. `effects`: by state, the part of it that is lost if whoever comes there is lost."""

    probability: float
    effects: Mapping[State, float]


def chain(transitions: Mapping[tuple[State | str, State | str], int]) -> Chain[State]:
    """The chain of order 1 of these counts, (from, to) -> journeys. Each state must lead to an end; probability 0 has effects of 0.

    Without state s, the conversions that pass s are lost: visits(start, s) / visits(s, s) is the probability to come to s at all, and
    times the probability to convert from there it is what is lost, so one inverse serves all states.
    """
    states: list[State] = list(dict.fromkeys(here for here, _ in transitions if here != START))  # type: ignore[misc]  # START is no state
    place: dict[State | str, int] = {START: 0} | {state: number for number, state in enumerate(states, 1)}
    size = len(place)
    moves, converts, total = np.zeros((size, size)), np.zeros(size), np.zeros(size)
    for (here, there), journeys in transitions.items():
        total[place[here]] += journeys
        if there == CONVERSION:
            converts[place[here]] += journeys
        elif there != NULL:
            moves[place[here], place[there]] += journeys
    visits = np.linalg.inv(np.eye(size) - moves / total[:, None])
    converted = visits @ (converts / total)
    whole = float(converted[0])
    lost = visits[0] / np.diag(visits) * converted
    return Chain(whole, {state: float(lost[place[state]]) / whole if whole else 0.0 for state in states})


def shared_out(value: int, shares: Sequence[float]) -> list[int]:
    """`value` in whole parts by shares that sum to 1: largest remainder on the absolute value, ties by place, the sign restored.

    Remainders that differ by less than what doubles can tell are equal; the greater the value, the more that is.
    """
    exact = [Fraction(share) for share in shares]
    quotas = [abs(value) * share / sum(exact) for share in exact]
    parts = [int(quota) for quota in quotas]
    remainders = [float(quota - part) for quota, part in zip(quotas, parts, strict=True)]
    in_turn = _falling(remainders, max(_LEAST, abs(value) * _NOISE))
    for place in in_turn[: abs(value) - sum(parts)]:
        parts[place] += 1
    return [part if value >= 0 else -part for part in parts]


def _falling(remainders: Sequence[float], least: float) -> list[int]:
    """Places by remainder, the greatest first; where it falls by less than `least` from one to the next they are equal, and go by place."""
    places = sorted(range(len(remainders)), key=lambda place: -remainders[place])
    falls = (remainders[before] - remainders[after] >= least for before, after in pairwise(places))
    ranks = dict(zip(places, accumulate(falls, initial=0), strict=True))
    return sorted(places, key=lambda place: (ranks[place], place))
