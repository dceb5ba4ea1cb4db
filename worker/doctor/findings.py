"""What a check found: a level, what is, and what to do. And the way in which checks are run: each within a time limit."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from enum import StrEnum
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Generic, TypeAlias, TypeVar

from worker.errors import TidemarkError
from worker.log import redacted

Facts = TypeVar("Facts")


class Level(StrEnum):
    """How bad it is, the worst last; only a problem keeps the worker from doing its work."""

    OK = "ok"
    SKIPPED = "skipped"  # could not be looked at
    WARNING = "warning"
    PROBLEM = "problem"


@dataclass(frozen=True, slots=True)
class Finding:
    """`check` names what was looked at, `found` says what is, `remedy` what to do; none holds a secret (see `within`)."""

    check: str
    level: Level
    found: str
    remedy: str = ""


# Findings as they come, and at the end what later checks want to know.
Checks: TypeAlias = Generator[Finding, None, Facts]


def worst(levels: Iterable[Level]) -> Level:
    """The worst of levels; of none, that all is well."""
    return max(levels, key=list(Level).index, default=Level.OK)


def ok(check: str, found: str) -> Finding:
    return Finding(check, Level.OK, found)


def skipped(check: str, why: str) -> Finding:
    return Finding(check, Level.SKIPPED, why)


def warning(check: str, found: str, remedy: str) -> Finding:
    return Finding(check, Level.WARNING, found, remedy)


def problem(check: str, found: str, remedy: str) -> Finding:
    return Finding(check, Level.PROBLEM, found, remedy)


def counted(count: int, what: str) -> str:
    """'1 file', '2 files'."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


@dataclass(frozen=True, slots=True)
class _End(Generic[Facts]):
    """The checks are over, with their facts, or without where something went wrong."""

    facts: Facts | None


def within(seconds: float, check: str, checks: Checks[Facts]) -> Generator[Finding, None, Facts | None]:
    """The findings of `checks` as they come, without secrets; the facts, or None where the checks could not go on.

    Each must come within `seconds`. That it did not, and whatever the checks raise, is a finding too: it is called `check`.
    """
    told: SimpleQueue[Finding | _End[Facts]] = SimpleQueue()
    thread = Thread(target=_run, args=(check, checks, told), name=f"doctor-{check}", daemon=True)
    thread.start()
    try:
        while True:
            try:
                item = told.get(timeout=seconds)
            except Empty:
                yield problem(check, f"no answer within {seconds:g} s", "Look for what hangs: a disk, a name server, a firewall.")
                return None
            if isinstance(item, _End):
                return item.facts
            yield Finding(item.check, item.level, redacted(item.found), redacted(item.remedy))
    except GeneratorExit:
        thread.join(seconds)  # a process that ends in the middle of it ends badly
        raise


def _run(check: str, checks: Checks[Facts], told: "SimpleQueue[Finding | _End[Facts]]") -> None:
    facts = None
    try:
        while True:
            told.put(next(checks))
    except StopIteration as end:
        facts = end.value
    except TidemarkError as error:
        told.put(problem(check, error.message, error.remedy))
    # One check that fails must not keep the others from being made.
    except Exception as error:
        told.put(problem(check, f"the check failed: {type(error).__name__}: {error}", "This is a bug, or a right that is missing here."))
    told.put(_End(facts))
