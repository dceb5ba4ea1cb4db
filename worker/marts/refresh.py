"""One mart brought up to date, in one transaction: its rows, its run and its state, or nothing of that."""

import hashlib
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pyarrow as pa

from worker import __version__
from worker.errors import ConfigError, Unavailable
from worker.marts.definition import BOUND_ALWAYS, Mart, Unit, inputs
from worker.marts.functions import FUNCTIONS
from worker.marts.scope import MADE_OF, Part, Share, Since, dirty_rows, narrow
from worker.marts.target import Source, Target, tables_of
from worker.store.database import transaction
from worker.store.sql import run


class Trigger(StrEnum):
    """Who asked for a refresh."""

    SCHEDULE = "schedule"
    COMMAND = "command"


class RunState(StrEnum):
    """What became of it."""

    DONE = "done"
    FAILED = "failed"
    WAITS = "waits"  # for what it reads; nothing was done, and it is not in mart_run


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked of a refresh. as_of None: the last closed day."""

    trigger: Trigger = Trigger.COMMAND
    as_of: date | None = None
    is_full: bool = False
    is_refit: bool = False


@dataclass(frozen=True, slots=True)
class MartState:
    """What a mart's rows stand for (see mart_state)."""

    mart: str
    version: str
    as_of: date
    is_provisional: bool
    read_at: datetime
    dirty_id: int
    closed_before: date
    sealed_before: date | None
    refreshed_at: datetime
    rows: int | None


@dataclass(frozen=True, slots=True)
class MartRun:
    """What a refresh did (see mart_run). reason: why all was computed, of a mart of which else only what is dirty is; failed_audits: of
    those that ran after it.
    """

    mart: str
    state: RunState
    as_of: date | None
    is_provisional: bool = False
    reason: str = ""
    seconds: float = 0.0
    rows_read: int | None = None
    rows_written: int | None = None
    rows_removed: int | None = None
    dirty_share: float | None = None
    message: str = ""
    version: str = ""
    failed_audits: tuple[str, ...] = ()


class NotReady(Unavailable):
    """A mart can't be refreshed yet; its rows stay as they are."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far the file had come when the refresh began to read."""

    read_at: datetime
    closed_before: date
    sealed_before: date | None
    dirty_id: int
    reporting_time_zone: str


class Refresher:
    """Refreshes marts on connections of their own. `settings`: every setting of the families by name."""

    def __init__(self, marts: Mapping[str, Mart], settings: Mapping[str, Any], reporting_currency: str) -> None:
        self._marts = marts
        self._settings = settings
        self._currency = reporting_currency
        self._versions: dict[str, str] = {}

    def version(self, mart: Mart) -> str:
        """Tells this definition, with its parameters and those of its inputs, from another one."""
        if mart.name not in self._versions:
            parts = [__version__, mart.text, sorted(mart.helpers.items()), {name: self._setting(mart, name) for name in mart.parameters}]
            parts += [self.version(other) for other in inputs(mart, self._marts)]
            self._versions[mart.name] = hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:16]
        return self._versions[mart.name]

    def refresh(self, connection: duckdb.DuckDBPyConnection, mart: Mart, request: Request, now: datetime) -> MartRun:
        """Raises NotReady, ConfigError, duckdb.Error, and what the mart's function raises; then nothing has changed.

        `connection` is the refresh's own, and used for no other.
        """
        began = time.perf_counter()
        with transaction(connection):
            return _Refresh(self, connection, mart, request, now).run(began)

    def parameters(self, mart: Mart, as_of: date, progress: Progress) -> dict[str, Any]:
        """What its SELECTs are bound to."""
        always = {
            "as_of": as_of,
            "as_of_end": _end_of(as_of, ZoneInfo(progress.reporting_time_zone)),
            "reporting_currency": self._currency,
            "reporting_time_zone": progress.reporting_time_zone,
            "sealed_before": progress.sealed_before,
        }
        assert always.keys() == BOUND_ALWAYS
        return always | {name: self._setting(mart, name) for name in mart.parameters}

    def _setting(self, mart: Mart, name: str) -> Any:
        if name in mart.given:
            return mart.given[name]
        if name not in self._settings:
            raise ConfigError(f"mart {mart.name}: there is no setting {name}", "Its header names settings of [marts.<family>], or as_of.")
        return self._settings[name]

    def inputs(self, mart: Mart) -> list[Mart]:
        return inputs(mart, self._marts)

    @property
    def marts(self) -> Mapping[str, Mart]:
        return self._marts


def states(connection: duckdb.DuckDBPyConnection) -> dict[str, MartState]:
    """Of every mart that was ever refreshed."""
    return {row[0]: MartState(*row) for row in run(connection, "refresh/states", {}).fetchall()}


def progress_of(connection: duckdb.DuckDBPyConnection) -> Progress:
    """Raises NotReady while no day is closed."""
    read_at, closed_before, sealed_before, dirty_id, time_zone = run(connection, "refresh/progress", {}).fetchall()[0]
    if closed_before is None:
        raise NotReady("no day is closed yet, and marts show closed days", "Wait until the watermark has passed the end of a day.")
    return Progress(read_at, closed_before, sealed_before, dirty_id, time_zone)


def add_run(connection: duckdb.DuckDBPyConnection, outcome: MartRun, trigger: Trigger, started_at: datetime) -> None:
    """Keep a run in mart_run."""
    parameters = {
        **{name: getattr(outcome, name) for name in MartRun.__dataclass_fields__},
        "state": outcome.state.value,
        "trigger": trigger.value,
        "started_at": started_at.replace(tzinfo=None),
    }
    run(connection, "refresh/add_run", parameters)


class _Refresh:
    """One refresh under way; what a mart's function is given (functions.Refresh)."""

    def __init__(self, refresher: Refresher, connection: duckdb.DuckDBPyConnection, mart: Mart, request: Request, now: datetime) -> None:
        self._refresher = refresher
        self._connection = connection
        self._mart = mart
        self._request = request
        self._now = now
        self._progress = progress_of(connection)
        self._states = states(connection)
        self._tables = tables_of(connection)
        self._target = Target(connection, mart, self._tables)
        self.as_of = request.as_of or self._progress.closed_before - timedelta(days=1)
        self.refit = request.is_refit
        self.parameters: Mapping[str, Any] = refresher.parameters(mart, self.as_of, self._progress)

    def query(self, name: str, **parameters: Any) -> pa.Table:
        return self._rows(self._mart.helpers[name], {**self.parameters, **parameters})

    def run(self, began: float) -> MartRun:
        mart, connection = self._mart, self._connection
        self._check_inputs()
        state = self._states.get(mart.name)
        if state is None and self._target.columns:
            raise ConfigError(f"mart {mart.name}: there is a table of that name, which no mart has made", "Give the mart another name.")
        if state is not None and not self._is_of_version(mart):
            self._target.make_way(is_view=mart.unit is Unit.VIEW)
        reason = self._reason_for_all()
        if mart.unit is Unit.VIEW:
            self._target.define_view(mart.view_select)
            self._target.check(Source(f"select * from {self._target.name}", {}))
            read = removed = written = rows = None
        else:
            if mart.unit is Unit.APPEND and not self._target.columns:
                self._target.create_declared()
                self._tables = tables_of(connection)  # it may read itself
            read = removed = written = 0
            for number, part in enumerate(self._parts(is_full=bool(reason))):
                if isinstance(part, Since):
                    self._find_moved(part)
                self._narrow(part)
                read += self._count_read()
                gone, come = self._write(part, is_first=number == 0, is_full=bool(reason))
                removed, written = removed + gone, written + come
            self._target.place()
            rows = self._target.count()
        outcome = MartRun(
            mart.name,
            RunState.DONE,
            self.as_of,
            self._is_provisional,
            reason,
            time.perf_counter() - began,
            read,
            written,
            removed,
            written / rows if rows and written is not None else None,
            version=self._refresher.version(mart),
        )
        add_run(connection, outcome, self._request.trigger, self._now)
        self._set_state(rows)
        return outcome

    @property
    def _is_provisional(self) -> bool:
        return self.as_of >= self._progress.closed_before

    def _is_of_version(self, mart: Mart) -> bool:
        """Its rows are there, and are those of its definition: then their columns are, too."""
        state = self._states.get(mart.name)
        return state is not None and state.version == self._refresher.version(mart)

    def _check_inputs(self) -> None:
        """All marts that it reads must be there and show the same day, and tables be on."""
        if gone := sorted((self._states.keys() & set(self._mart.reads)) - self._refresher.marts.keys()):
            raise ConfigError(f"mart {self._mart.name} reads {gone[0]}, which nothing defines any more", "Put the file of that mart back.")
        off = {name for (name,) in self._connection.execute("select name from table_switch where not is_on").fetchall()}
        if missing := sorted(off.intersection(self._mart.reads)):
            raise ConfigError(f"mart {self._mart.name} reads {missing[0]}, which is switched off", f"Switch it on: tables.{missing[0]}")
        for other in self._refresher.inputs(self._mart):
            state = self._states.get(other.name)
            if state is None or state.as_of != self.as_of or not self._is_of_version(other):
                stands = "was never refreshed" if state is None else f"stands at {state.as_of}"
                raise NotReady(f"mart {self._mart.name} waits for {other.name}, which {stands}", f"tidemark marts refresh {other.name}")

    def _reason_for_all(self) -> str:
        """Why rows can't be built on those that are there; empty where they can, or where all are computed anyway."""
        state, mart = self._states.get(self._mart.name), self._mart
        if mart.unit in {Unit.WHOLE, Unit.APPEND, Unit.VIEW}:
            return ""
        if state is None or not self._target.columns:
            return "first"
        if self._request.is_full:
            return "asked"
        if not self._is_of_version(mart):
            return "definition or parameters changed"
        if state.is_provisional or self._is_provisional or self.as_of < state.as_of:
            return "another as_of"
        if mart.front.ages and self.as_of > state.as_of:
            return "a day has passed"
        if state.sealed_before != self._progress.sealed_before:
            return "days were sealed"
        if run(self._connection, "refresh/all_dirty", {"dirty_id": state.dirty_id}).fetchall()[0][0]:
            return "days were rebuilt"
        unknown = [other.name for other in self._refresher.inputs(mart) if self._is_unknown(other, has_passed=self.as_of > state.as_of)]
        return f"what has changed in {unknown[0]} is not known" if unknown else ""

    def _is_unknown(self, other: Mart, *, has_passed: bool) -> bool:
        """Whether rows of a mart that this one reads may have changed of which nothing that is dirty tells. `has_passed`: a day has."""
        mine, its = self._mart.front, other.front
        if other.name in mine.follows:
            return False
        is_appended = other.unit is Unit.APPEND
        if (other.unit.key is None and not is_appended) or its.follows or other.placed:
            return True
        if has_passed and (is_appended or its.ages or (mine.moved is None and (its.moved or other.each_day))):
            return True
        parameters = {"mart": self._mart.name, "other": other.name, "is_appended": is_appended}
        return bool(run(self._connection, "refresh/has_changed", parameters).fetchall()[0][0])

    def _parts(self, *, is_full: bool) -> Sequence[Part]:
        """What is computed at a time: what is dirty, or all, or some of the customers and then others."""
        mart = self._mart
        if mart.unit.key is not None and not is_full:
            state = self._states[mart.name]
            return [Since(state.as_of, state.read_at, state.dirty_id)]
        if mart.front.at_a_time is None:
            return [None]
        ((customers,),) = self._connection.execute(f"select count(*) from {self._tables.place('customer_first')}").fetchall()
        count = math.ceil(customers / mart.front.at_a_time)
        return [Share(number, count) for number in range(count)] or [None]

    def _narrow(self, part: Part) -> None:
        variables = {"as_of": self.as_of, "reporting_currency": self.parameters["reporting_currency"]}
        narrow(self._connection, self._mart, self._tables, self._refresher.marts, variables, part)

    def _find_moved(self, since: Since) -> None:
        """Whom the days that have passed make dirty, where the mart says so."""
        mart = self._mart
        if mart.front.moved is not None and since.as_of < self.as_of:
            self._narrow(None)
            moved = mart.helpers[mart.front.moved]
            parameters = _bound(moved, {**self.parameters, "last_as_of": since.as_of})
            self._connection.execute(f"create temp table moved_customer as {moved}", parameters)

    def _keep_up(self, since: Since) -> None:
        """Change the rows that are not dirty: with the marts that this one follows, and as days pass."""
        mart = self._mart
        for other in mart.front.follows:
            shared = [name for name in self._tables.columns[other] if name in mart.columns and name not in mart.key]
            self._target.follow(self._tables.place(other), shared)
        if mart.each_day and since.as_of < self.as_of:
            expressions = f"select {', '.join(mart.each_day.values())}"
            self._target.change(mart.each_day, _bound(expressions, {**self.parameters, "last_as_of": since.as_of}))

    def _count_read(self) -> int:
        """The rows of its inputs, as they are narrowed; what is made of another input is that."""
        mart = self._mart
        tables = dict.fromkeys(MADE_OF[table][0] if table in MADE_OF else table for table in mart.reads if table != mart.name)
        names = [mart.aliases.get(table, table) for table in tables]
        return sum(int(self._connection.execute(f'select count(*) from "{name}"').fetchall()[0][0]) for name in names)

    def _write(self, part: Part, *, is_first: bool, is_full: bool) -> tuple[int, int]:
        """Compute the part's rows and put them in their place; with the first part all that is there to be replaced goes.

        Returns how many were removed, and written.
        """
        mart, target = self._mart, self._target
        source = self._source()
        if is_first and not self._is_of_version(mart):
            target.check(source)
        if mart.unit is Unit.APPEND:
            return 0, target.add(source)
        if mart.unit is Unit.MERGE:
            return target.merge(source, self._now.replace(tzinfo=None), is_full=is_full)
        limits, bound = [dirty_rows(mart.unit)] if isinstance(part, Since) else [], dict[str, Any]()
        if mart.front.kept_by and self._progress.sealed_before is not None:
            limits.append(f"{mart.front.kept_by} >= $sealed_before")
            bound["sealed_before"] = self._progress.sealed_before
        if not is_first:
            return 0, target.add(source, limits, bound)
        if not limits:
            return target.count() if target.columns else 0, target.replace(source)
        if not target.columns:
            target.replace(Source(f"select * from ({source.select}) limit 0", source.parameters))
        removed = target.remove(limits, bound)
        if isinstance(part, Since):
            self._keep_up(part)
        return removed, target.add(source, limits, bound)

    def _source(self) -> Source:
        """The mart's rows: its SELECT, or what its function makes of that."""
        mart = self._mart
        if mart.front.function is None:
            return Source(mart.select, _bound(mart.select, self.parameters))
        rows = FUNCTIONS[mart.front.function](self._rows(mart.select, self.parameters), self)
        self._connection.register("mart_rows", rows)
        return Source("select * from mart_rows", {})

    def _rows(self, select: str, parameters: Mapping[str, Any]) -> pa.Table:
        return self._connection.sql(select, params=_bound(select, parameters) or None).to_arrow_table()

    def _set_state(self, rows: int | None) -> None:
        """What its inputs have not seen yet, it has not seen either. Who asks for another day sees that one until the next day closes."""
        seen = [self._states[other.name] for other in self._refresher.inputs(self._mart)]
        progress, is_scheduled = self._progress, self._request.trigger is Trigger.SCHEDULE
        sealed = [progress.sealed_before, *(state.sealed_before for state in seen)]
        run(
            self._connection,
            "refresh/set_state",
            {
                "mart": self._mart.name,
                "version": self._refresher.version(self._mart),
                "as_of": self.as_of,
                "is_provisional": self._is_provisional or any(state.is_provisional for state in seen),
                "read_at": min([progress.read_at, *(state.read_at for state in seen)]),
                "dirty_id": min([progress.dirty_id, *(state.dirty_id for state in seen)]),
                "closed_before": self.as_of + timedelta(days=1) if is_scheduled else progress.closed_before,
                "sealed_before": None if None in sealed else min(filter(None, sealed)),
                "refreshed_at": self._now.replace(tzinfo=None),
                "rows": rows,
            },
        )


def _end_of(day: date, zone: ZoneInfo) -> datetime:
    """The moment at which the day has ended in the zone, naive UTC."""
    after = day + timedelta(days=1)
    return datetime(after.year, after.month, after.day, tzinfo=zone).astimezone(UTC).replace(tzinfo=None)


def _bound(select: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the parameters that the SELECT names."""
    (statement,) = duckdb.extract_statements(select)
    return {name: parameters[name] for name in statement.named_parameters}
