"""What the marts' own books say of them: which are slow, unsteady or slower than they were, and what to do. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from statistics import fmean, median
from typing import Any

from worker.errors import ConfigError
from worker.marts.definition import Mart, Unit

DAYS = 30  # of runs that are looked at
SLOW_SECONDS, VERY_SLOW_SECONDS = 300.0, 600.0
UNSTEADY_SHARE = 0.2  # of the runs that are slow
SLOWER_FACTOR = 1.5  # of the median


class Finding(StrEnum):
    """What is the matter with a mart."""

    GONE = "gone"
    FAILING = "failing"
    VERY_SLOW = "very slow"
    SLOW = "slow"
    UNSTEADY = "unsteady"
    SLOWER = "slower"


@dataclass(frozen=True, slots=True)
class Advice:
    """What is the matter with a mart, by which figures, and what to do."""

    mart: str
    finding: Finding
    evidence: str
    remedy: str


def advise(runs: Iterable[Mapping[str, Any]], marts: Mapping[str, Mart], faults: Mapping[str, ConfigError] | None = None) -> list[Advice]:
    """runs: rows of the report mart_runs, of the last DAYS days, oldest first. faults: of the marts whose files are wrong. By mart, the
    gravest first.
    """
    of_files = {name: Advice(name, Finding.FAILING, error.message, error.remedy) for name, error in (faults or {}).items()}
    of_mart: dict[str, list[Mapping[str, Any]]] = {}
    for run in runs:
        of_mart.setdefault(run["mart"], []).append(run)
    found = {name: _of(name, of_mart[name], marts.get(name)) for name in of_mart} | {name: [told] for name, told in of_files.items()}
    return [advice for name in sorted(found) for advice in found[name]]


def _of(name: str, runs: list[Mapping[str, Any]], mart: Mart | None) -> list[Advice]:
    if mart is None:
        return [Advice(name, Finding.GONE, "nothing defines it any more", f"Put its file back, or: tidemark marts drop {name}")]
    found: list[Advice] = []
    if runs[-1]["state"] == "failed":
        found.append(Advice(name, Finding.FAILING, runs[-1]["message"], f"Mend what it says, then: tidemark marts refresh {name}"))
    done = [run for run in runs if run["state"] == "done"]
    if not done:
        return found
    seconds = [run["seconds"] for run in done]
    mean, middle, last = fmean(seconds), median(seconds), seconds[-1]
    slow = sum(took > SLOW_SECONDS for took in seconds)
    remedy = _remedy(done, mart)
    if mean > SLOW_SECONDS:
        finding = Finding.VERY_SLOW if mean > VERY_SLOW_SECONDS else Finding.SLOW
        found.append(Advice(name, finding, f"{mean:.0f} s on average of {len(done)} refreshes", remedy))
    if slow > UNSTEADY_SHARE * len(done):
        found.append(Advice(name, Finding.UNSTEADY, f"{slow} of {len(done)} refreshes took over {SLOW_SECONDS:.0f} s", remedy))
    if last > SLOWER_FACTOR * middle:
        evidence = f"the last refresh took {last:.1f} s, {last / middle:.1f} times the median of {middle:.1f} s"
        found.append(Advice(name, Finding.SLOWER, evidence, remedy))
    return found


def _remedy(done: list[Mapping[str, Any]], mart: Mart) -> str:
    """By what its refreshes have in common."""
    if mart.unit is Unit.WHOLE:
        return "It is computed as a whole: put what does not depend on as_of into a mart by customer or day, and read that."
    if sum(bool(run["reason"]) for run in done) * 2 > len(done):
        return f"It was mostly computed in full ({done[-1]['reason']}): avoid what causes that."
    if fmean([run["dirty_share"] or 0.0 for run in done]) > 0.3:
        return "Most of it is dirty each time: refresh it more often, or look into why events come so late."
    return "Give DuckDB more memory (store.memory_limit) or threads (store.threads)."
