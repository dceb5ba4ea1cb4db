"""All approaches night by night on the same messages: what each read, how long it took, and which days it got wrong in the end."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from worker.approaches.arrow_engine import ArrowEngine
from worker.approaches.batch import Engine, FullBatch, Raw, Staging
from worker.approaches.nights import Night, nights
from worker.approaches.ours import Tidemark, shop_decoder
from worker.approaches.rows import DAILY
from worker.approaches.sql_engine import SqlEngine
from worker.approaches.stopwatch import Stopwatch
from worker.approaches.tables import Reads
from worker.errors import Differences

FULL_BATCH, STAGING, WINDOW, TIDEMARK = "full batch", "staging, full aggregation", "staging, sliding window", "tidemark"
BY_COLUMN, BY_KEY = "columns of whole days", "rows found by key"
# What is publicly claimed for the sliding window: so many times fewer bytes than the full batch, 5 TB to 200 GB a day.
CLAIMED_RATIO = 25
_RECENT_NIGHTS = 7

Tables = Mapping[str, pa.Table]


@dataclass(frozen=True, slots=True)
class Setup:
    """What is compared: a shop of so many days and visitors, and a window of so many days. `late_share`: of all events."""

    days: int = 90
    seed: int = 42
    visitors: int = 9_000
    late_share: float = 0.02
    window_days: int = 14


@dataclass(frozen=True, slots=True)
class NightlyRun:
    """What one nightly run took."""

    day: date
    rows: int
    bytes: int
    cpu_seconds: float
    wall_seconds: float


@dataclass(frozen=True, slots=True)
class WrongDay:
    """A day whose rows are not those of the truth: what was found, less what is true. `net_cents` by currency, without zeros."""

    day: date
    orders: int
    net_cents: Mapping[str, int]
    touchpoints: int


@dataclass(slots=True)
class Outcome:
    """One approach by one engine. `counted` says what rows and bytes mean; `reads` are their sums by table."""

    approach: str
    engine: str
    counted: str
    reads: Reads
    nights: list[NightlyRun] = field(default_factory=list)
    wrong_days: list[WrongDay] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return self.reads.rows.total()

    @property
    def bytes(self) -> int:
        return self.reads.bytes.total()

    @property
    def recent_bytes(self) -> float:
        """A nightly run's bytes, on average of the last week: a night with a tombstone reads more than one without."""
        recent = self.nights[-_RECENT_NIGHTS:]
        return sum(night.bytes for night in recent) / len(recent)

    @property
    def cpu_seconds(self) -> float:
        return sum(night.cpu_seconds for night in self.nights)

    @property
    def wall_seconds(self) -> float:
        return sum(night.wall_seconds for night in self.nights)


@dataclass(frozen=True, slots=True)
class Comparison:
    """`ages`: accepted rows by how many days after their own they arrived."""

    setup: Setup
    messages: int
    ages: Mapping[int, int]
    outcomes: Sequence[Outcome]

    def outcome(self, approach: str, counted: str = BY_COLUMN) -> Outcome:
        """That of the first engine: what is read is the same for both."""
        return next(o for o in self.outcomes if o.approach == approach and o.counted == counted)

    def ratio(self, outcome: Outcome) -> float:
        """How many times fewer bytes than the full batch it read in the last week."""
        return self.outcome(FULL_BATCH).recent_bytes / outcome.recent_bytes

    def title(self, outcome: Outcome) -> str:
        """What a reader calls it, its engine apart."""
        if outcome.approach == WINDOW:
            return f"staging, {self.setup.window_days}-day window"
        if outcome.approach == TIDEMARK:
            return "tidemark, rows by key" if outcome.counted == BY_KEY else "tidemark, whole days"
        return outcome.approach

    def late_rows(self, days: int) -> int:
        """How many rows came `days` days after their own, or later."""
        return sum(rows for age, rows in self.ages.items() if age >= days)


class Runner(Protocol):
    """An approach at work. `watch` runs while it does."""

    watch: Stopwatch

    def run(self, night: Night) -> None: ...
    def table(self, name: str) -> pa.Table: ...


@dataclass(frozen=True, slots=True)
class _Line:
    """An outcome and what brings it about."""

    runner: Runner
    outcome: Outcome


def compare(setup: Setup, directory: Path, progress: Callable[[int], None]) -> Comparison:
    """Run every approach over every night; `progress` is told how many are done. The worker's file goes into `directory`.

    Raises Differences where two engines, or two approaches that must agree, do not.
    """
    arrived = nights(setup.seed, setup.visitors, setup.days, setup.late_share)
    raw = Raw(shop_decoder())
    with closing(Tidemark(directory / "approaches.duckdb", arrived[0].over)) as tidemark:
        lines = [*_batch_lines(raw, setup.window_days), *_worker_lines(tidemark)]
        for number, night in enumerate(arrived, start=1):
            raw.land(night)
            _run(night, lines)
            _check(night.day, lines)
            progress(number)
        truth = {name: tidemark.truth(name) for name in DAILY}
        for line in lines:
            line.outcome.wrong_days = wrong_days({name: line.runner.table(name) for name in DAILY}, truth)
            if line.outcome.wrong_days and line.outcome.approach != WINDOW:
                raise _difference(line.outcome.approach, "one batch over all accepted events", arrived[-1].day)
    messages = sum(len(some) for night in arrived for some in night.messages.values())
    return Comparison(setup, messages, raw.ages, [line.outcome for line in lines])


def wrong_days(found: Tables, truth: Tables) -> list[WrongDay]:
    """The days of which any row of any table differs, ascending."""
    days: set[date] = set()
    for name in truth:
        days |= {day for day, *_ in _row_set(found[name]) ^ _row_set(truth[name])}
    orders = _off(found, truth, "daily_sales", "orders")
    net = _off(found, truth, "daily_sales", "net_cents", "currency")
    touchpoints = _off(found, truth, "daily_reach", "touchpoints")
    return [
        WrongDay(
            day,
            orders[day,],
            {currency: cents for (of_day, currency), cents in sorted(net.items()) if of_day == day and cents},
            touchpoints[day,],
        )
        for day in sorted(days)
    ]


def _batch_lines(raw: Raw, window_days: int) -> Iterator[_Line]:
    engines: Sequence[Engine] = (SqlEngine(), ArrowEngine())
    runners: Mapping[str, list[FullBatch | Staging]] = {
        FULL_BATCH: [FullBatch(engine, raw) for engine in engines],
        STAGING: [Staging(engine, raw) for engine in engines],
        WINDOW: [Staging(engine, raw, window_days) for engine in engines],
    }
    for approach, by_engine in runners.items():
        for engine, runner in zip(engines, by_engine, strict=True):
            yield _Line(runner, Outcome(approach, engine.name, BY_COLUMN, runner.reads))


def _worker_lines(tidemark: Tidemark) -> Iterator[_Line]:
    """The same work, counted in two ways."""
    for counted, reads in ((BY_KEY, tidemark.found), (BY_COLUMN, tidemark.scanned)):
        yield _Line(tidemark, Outcome(TIDEMARK, "worker", counted, reads))


def _run(night: Night, lines: Iterable[_Line]) -> None:
    """Each runner once, one after the other."""
    for runner, group in groupby(lines, lambda line: line.runner):
        outcomes = [line.outcome for line in group]
        before = [(outcome.rows, outcome.bytes) for outcome in outcomes]
        runner.watch.reset()
        with runner.watch.running():
            runner.run(night)
        for outcome, (rows, size) in zip(outcomes, before, strict=True):
            took = NightlyRun(night.day, outcome.rows - rows, outcome.bytes - size, runner.watch.cpu, runner.watch.wall)
            outcome.nights.append(took)


def _check(day: date, lines: Iterable[_Line]) -> None:
    """The windows agree with each other, and so do all the others."""
    first: dict[bool, tuple[Outcome, Tables]] = {}
    for runner, group in groupby(lines, lambda line: line.runner):
        outcome, tables = next(group).outcome, {name: runner.table(name) for name in DAILY}
        other, expected = first.setdefault(outcome.approach == WINDOW, (outcome, tables))
        if not all(tables[name].equals(expected[name]) for name in DAILY):
            raise _difference(_named(outcome), _named(other), day)


def _difference(one: str, other: str, day: date) -> Differences:
    return Differences(f"after the night of {day}, {one} and {other} have different tables", "This is a bug: please report it.")


def _named(outcome: Outcome) -> str:
    return f"{outcome.approach} ({outcome.engine})"


def _row_set(rows: pa.Table) -> set[tuple[Any, ...]]:
    return set(zip(*(column.to_pylist() for column in rows.columns), strict=True))


def _off(found: Tables, truth: Tables, table: str, measure: str, *beside_day: str) -> Counter[tuple[Any, ...]]:
    """What was found, less what is true: the sums of a measure by day and some other columns."""
    sums: Counter[tuple[Any, ...]] = Counter()
    for sign, rows in ((1, found[table]), (-1, truth[table])):
        for *key, value in zip(*(rows[name].to_pylist() for name in ("day", *beside_day, measure)), strict=True):
            sums[tuple(key)] += sign * value
    return sums
