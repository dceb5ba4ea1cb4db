"""When a mart is due: a pure policy over what the file says. Time is an argument."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from worker.marts.definition import Mart, inputs
from worker.marts.refresh import MartState


@dataclass(frozen=True, slots=True)
class Failures:
    """How often a mart failed since it was last refreshed well, of one version and for one day, and when last (UTC)."""

    version: str
    as_of: date
    failures: int
    last_failed_at: datetime


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a failed refresh is tried again, and how long after."""

    retries: int
    pause: timedelta


def due(
    marts: Sequence[Mart],
    versions: Mapping[str, str],
    states: Mapping[str, MartState],
    failures: Mapping[str, Failures],
    closed_before: date,
    now: datetime,
    patience: Patience,
) -> list[Mart]:
    """The marts to refresh now, in the order given (by dependency). `now` in UTC, without a zone, as the file has it.

    One is due when it was never refreshed, has another definition, when a day has closed since, or when its interval has passed. It waits
    while one that it reads is neither up to date nor about to be.
    """
    by_name = {mart.name: mart for mart in marts}
    as_of = closed_before - timedelta(days=1)
    chosen: dict[str, Mart] = {}
    for mart in marts:
        needs = inputs(mart, by_name)
        state = states.get(mart.name)
        is_stale = state is None or state.version != versions[mart.name] or state.closed_before < closed_before
        is_over = state is not None and mart.every is not None and now >= state.refreshed_at + mart.every
        if not (is_stale or is_over) or not _may_try(failures.get(mart.name), versions[mart.name], as_of, now, patience):
            continue
        if all(need.name in chosen or _is_at(states.get(need.name), versions[need.name], as_of) for need in needs):
            chosen[mart.name] = mart
    return list(chosen.values())


def month_ends(marts: Sequence[Mart], states: Mapping[str, MartState], as_of: date) -> list[date]:
    """The last days of months before as_of that have passed since one of the marts that see them was refreshed, in order."""
    shown = [states[mart.name].as_of for mart in marts if mart.front.sees_month_ends and mart.name in states]
    day = min(shown, default=as_of) + timedelta(days=1)
    days = [day + timedelta(days=later) for later in range((as_of - day).days)]
    return [day for day in days if (day + timedelta(days=1)).day == 1]


def _is_at(state: MartState | None, version: str, as_of: date) -> bool:
    return state is not None and state.version == version and state.as_of == as_of


def _may_try(failed: Failures | None, version: str, as_of: date, now: datetime, patience: Patience) -> bool:
    if failed is None or (failed.version, failed.as_of) != (version, as_of):
        return True
    return failed.failures <= patience.retries and now >= failed.last_failed_at + patience.pause
