"""Marts refreshed beside the live stream, in a thread and on connections of their own; one at a time, whoever asks."""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import duckdb
import structlog

from worker.config import Marts, Settings
from worker.errors import ConfigError, Stopping, TidemarkError, Unavailable
from worker.marts import gone
from worker.marts.advice import DAYS
from worker.marts.audits import Auditor, AuditResult, keep
from worker.marts.collection import check, collected, mart_named
from worker.marts.definition import Mart, Unit, ordered, switched_off, with_inputs
from worker.marts.due import Failures, Patience, due, month_ends
from worker.marts.refresh import MartRun, MartState, NotReady, Refresher, Request, RunState, Trigger, add_run, progress_of, states
from worker.store.database import transaction
from worker.store.sql import run
from worker.tables import TABLES

log = structlog.get_logger()

_LOOK_SECONDS = 1.0  # between two looks at whether anything is due
_INTERRUPT_SECONDS = 0.2  # a query that begins after an interrupt does not feel it: it comes again


@dataclass(frozen=True, slots=True)
class Plan:
    """Marts to be refreshed, in order, each as of a day."""

    steps: tuple[tuple[str, date], ...]


class MartRunner:
    """Refreshes and audits marts of one file. `cursor` makes a connection to it; `told` hears of every refresh, done or failed.

    Marts that need one of `tables_off` are left out, unless they are named. `faults` are of the marts whose files are wrong: with the
    first look at what is due, each has failed.
    """

    def __init__(
        self,
        cursor: Callable[[], duckdb.DuckDBPyConnection],
        refresher: Refresher,
        settings: Marts,
        tables_off: AbstractSet[str],
        now: Callable[[], datetime],
        told: Callable[[MartRun], None] = lambda _: None,
        faults: Mapping[str, ConfigError] | None = None,
        stopped: threading.Event | None = None,
    ) -> None:
        self._cursor = cursor
        self._faults = faults or {}
        self._faults_to_tell = dict(self._faults)
        self._refresher = refresher
        self._auditor = Auditor(refresher)
        self._settings = settings
        self._now = now
        self._told = told
        self._turn = threading.Lock()
        self._stopped = stopped or threading.Event()
        self._gives_way = threading.Event()
        self._order = ordered(refresher.marts.values())
        self._off = switched_off(refresher.marts, tables_off)
        self._versions = {mart.name: refresher.version(mart) for mart in self._order}

    def plan(self, names: Sequence[str], as_of: date | None) -> Plan:
        """These marts (all, if none is named) after those of their inputs that are not up to date. Raises NotReady, ConfigError."""
        check(names, self._faults)
        with closing(self._cursor()) as connection:
            progress, known = progress_of(connection), states(connection)
        day = as_of or progress.closed_before - timedelta(days=1)
        wanted = with_inputs(names or [mart.name for mart in self._possible()], self._refresher.marts)
        stale = {name for name in wanted if name not in known or (known[name].as_of, known[name].version) != (day, self._versions[name])}
        marts = [mart for mart in self._order if mart.name in stale | set(names or wanted)]
        steps = self._steps(marts, known, day) if as_of is None else [(mart, day) for mart in marts]
        return Plan(tuple((mart.name, day) for mart, day in steps))

    def refresh(self, name: str, request: Request) -> MartRun:
        """Refresh one mart. What goes wrong is in the run's message, and the mart's rows are as they were.

        Raises ConfigError where there is no such mart, Stopping when the worker stops.
        """
        check([name], self._faults)
        return self._refreshed(mart_named(name, self._refresher.marts), request)

    def refresh_due(self, is_behind: Callable[[], bool] = lambda: False) -> list[MartRun]:
        """Refresh what is due, in order; what is left when the worker falls behind stays due."""
        self._tell_faults()
        runs = [self._refreshed(mart, Request(Trigger.SCHEDULE, as_of)) for mart, as_of in self._due() if not is_behind()]
        if runs:
            self._forget()
        return runs

    def audit(self, table: str) -> list[AuditResult]:
        """Run the audits of a mart or another table, and keep what they find. Raises Stopping when the worker stops."""
        with self._turn:
            return self._audited(table)

    def drop(self, name: str) -> None:
        """Drop a mart whose definition is gone. Raises ConfigError where it is not (see gone.drop)."""
        with self._turn, closing(self._cursor()) as connection:
            gone.drop(connection, name, self._refresher.marts.keys() | self._faults.keys())
        log.info("mart_dropped", mart=name)

    @property
    def is_busy(self) -> bool:
        """A mart is refreshed or audited just now."""
        return self._turn.locked()

    @contextmanager
    def held_off(self) -> Iterator[bool]:
        """While the block lasts no mart is refreshed or audited: what goes on is interrupted, and has failed. Yields whether it did."""
        was_busy = self.is_busy
        self._gives_way.set()
        try:
            with self._turn:
                self._gives_way.clear()
                yield was_busy
        finally:
            self._gives_way.clear()

    def stop(self) -> None:
        """Begin nothing more, end what goes on and wait for its end. From any thread."""
        self._stopped.set()
        with self._turn:
            pass

    def _due(self) -> list[tuple[Mart, date]]:
        with closing(self._cursor()) as connection:
            try:
                progress = progress_of(connection)
            except NotReady:
                return []
            known = states(connection)
            failures = {name: Failures(*rest) for name, *rest in run(connection, "refresh/failures", {}).fetchall()}
        patience = Patience(self._settings.retries, self._settings.retry_pause)
        marts = due(self._possible(), self._versions, known, failures, progress.closed_before, self._utc_now(), patience)
        return self._steps(marts, known, progress.closed_before - timedelta(days=1))

    def _steps(self, marts: Sequence[Mart], known: Mapping[str, MartState], as_of: date) -> list[tuple[Mart, date]]:
        """What to refresh, as of which day: before all, the marts that see the ends of months that have passed, with what they read."""
        days = month_ends(marts, known, as_of)
        beneath = with_inputs([mart.name for mart in marts if mart.front.sees_month_ends], self._refresher.marts) if days else set()
        seen = [mart for mart in self._order if mart.name in beneath]
        last = [mart for mart in self._order if mart in marts or mart in seen]
        return [*((mart, day) for day in days for mart in seen), *((mart, as_of) for mart in last)]

    def _possible(self) -> list[Mart]:
        return [mart for mart in self._order if mart.name not in self._off]

    def _forget(self) -> None:
        """What no mart needs any more, and the runs that `tidemark marts advise` does not look at."""
        names, before = [mart.name for mart in self._possible()], self._utc_now() - timedelta(days=DAYS)
        with closing(self._cursor()) as connection, transaction(connection):
            run(connection, "refresh/forget_dirty", {"names": names})
            run(connection, "refresh/forget_runs", {"before": before})

    def _utc_now(self) -> datetime:
        """Without a zone, as the file has it."""
        return self._now().astimezone(UTC).replace(tzinfo=None)

    def _refreshed(self, mart: Mart, request: Request) -> MartRun:
        with self._turn:
            self._check_runs()
            started_at, began = self._now(), time.perf_counter()
            try:
                self._check_inputs(mart)
                with closing(self._cursor()) as connection, self._limited(connection):
                    outcome = self._refresher.refresh(connection, mart, request, started_at)
                outcome = replace(outcome, failed_audits=self._failed_audits(mart))
            except NotReady as error:
                log.info("mart_waits", mart=mart.name, message=error.message)
                return MartRun(mart.name, RunState.WAITS, request.as_of, message=error.message)
            # Whatever goes wrong in a mart must stop neither the worker nor another mart; its rows are as they were.
            except Exception as error:
                if self._stopped.is_set():
                    raise Stopping from error
                outcome = self._failed(mart, request, started_at, time.perf_counter() - began, error)
        self._told(outcome)
        _tell(outcome)
        return outcome

    def _check_inputs(self, mart: Mart) -> None:
        for name in sorted(self._faults.keys() & set(mart.reads)):
            raise ConfigError(f"mart {mart.name} reads {name}, whose own file is wrong: {self._faults[name]}")

    def _tell_faults(self) -> None:
        while self._faults_to_tell:
            name, error = self._faults_to_tell.popitem()
            outcome = MartRun(name, RunState.FAILED, None, message=str(error))
            with closing(self._cursor()) as connection:
                add_run(connection, outcome, Trigger.SCHEDULE, self._now())
            self._told(outcome)
            _tell(outcome)

    def _failed(self, mart: Mart, request: Request, started_at: datetime, seconds: float, error: Exception) -> MartRun:
        is_late = seconds >= self._settings.timeout.total_seconds()
        message = f"ended after {seconds:.0f} s, marts.timeout" if is_late else _message(error)
        if self._gives_way.is_set():
            message = "it gave way to a commit that ran out of memory beside it: raise store.memory_limit"
        with closing(self._cursor()) as connection:
            as_of = request.as_of or progress_of(connection).closed_before - timedelta(days=1)
            outcome = MartRun(mart.name, RunState.FAILED, as_of, seconds=seconds, message=message, version=self._versions[mart.name])
            add_run(connection, outcome, request.trigger, started_at)
        return outcome

    def _failed_audits(self, mart: Mart) -> tuple[str, ...]:
        """What is for analysts is audited after each refresh; of state that marts have for each other, and of views, when asked."""
        if mart.front.internal or mart.unit is Unit.VIEW:
            return ()
        try:
            return tuple(result.audit for result in self._audited(mart.name) if result.fails)
        # The refresh is done, and stays done whatever becomes of its audits; where the worker stops, nothing is wrong with them.
        except Exception:
            if not self._stopped.is_set():
                log.exception("audits_failed", mart=mart.name)
            return ()

    def _check_runs(self) -> None:
        if self._stopped.is_set():
            raise Stopping

    def _audited(self, table: str) -> list[AuditResult]:
        with closing(self._cursor()) as connection:
            with self._limited(connection):
                results = self._auditor.run(connection, table)
            self._check_runs()
            if self._gives_way.is_set():
                raise Unavailable("the audit gave way to a commit that ran out of memory beside it", "Ask again.")
            keep(connection, table, results, self._now())
        for result in results:
            if result.fails:
                log.warning(
                    "audit_failed", table=table, audit=result.audit, severity=result.severity, rows=result.rows, message=result.message
                )
        return results

    @contextmanager
    def _limited(self, connection: duckdb.DuckDBPyConnection) -> Iterator[None]:
        """What runs on the connection is interrupted when its time is over, a commit needs its memory, or the worker stops."""
        ended = threading.Event()
        deadline = time.monotonic() + self._settings.timeout.total_seconds()

        def watch() -> None:
            while not ended.wait(_INTERRUPT_SECONDS):
                if self._stopped.is_set() or self._gives_way.is_set() or time.monotonic() >= deadline:
                    connection.interrupt()

        watcher = threading.Thread(target=watch, name="mart watch", daemon=True)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()


def runner_of(
    settings: Settings,
    cursor: Callable[[], duckdb.DuckDBPyConnection],
    now: Callable[[], datetime],
    told: Callable[[MartRun], None] = lambda _: None,
    stopped: threading.Event | None = None,
) -> MartRunner:
    """A runner of all marts that the settings know, until `stopped` is set. Raises ConfigError where their directory is not there."""
    found = collected(settings.marts)
    refresher = Refresher(found.marts, settings.marts.parameters(), settings.reporting_currency)
    return MartRunner(cursor, refresher, settings.marts, TABLES.keys() - settings.tables_on, now, told, found.faults, stopped)


class MartThread(threading.Thread):
    """Refreshes what is due, until closed; waits while `is_behind`: reading the stream comes first."""

    def __init__(self, runner: MartRunner, is_behind: Callable[[], bool]) -> None:
        super().__init__(name="marts", daemon=True)
        self._runner = runner
        self._is_behind = is_behind
        self._closed = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._closed.wait(_LOOK_SECONDS):
            try:
                self._runner.refresh_due(self._is_behind)
            except Unavailable:
                return  # the worker stops
            # The file can't be read, say: the main loop will notice, and marts must not be what ends the worker.
            except Exception:
                log.exception("marts_failed")

    def close(self) -> None:
        """End the refresh that goes on, and wait for its end."""
        self._closed.set()
        self._runner.stop()
        self.join()


def mart_operations(runner: MartRunner) -> dict[str, Callable[[Mapping[str, Any]], Any]]:
    """For the admin socket. `marts_plan` (names, as_of): the marts to refresh in order, each with its as_of; `mart_refresh` (name, as_of,
    is_full, is_refit): its run; `mart_drop` (name), of one whose definition is gone; `audit` (table): the results of its audits.
    """

    def plan(arguments: Mapping[str, Any]) -> list[tuple[str, str]]:
        planned = runner.plan(arguments["names"], _day(arguments["as_of"]))
        return [(name, as_of.isoformat()) for name, as_of in planned.steps]

    def refresh(arguments: Mapping[str, Any]) -> dict[str, Any]:
        request = Request(as_of=_day(arguments["as_of"]), is_full=bool(arguments["is_full"]), is_refit=bool(arguments["is_refit"]))
        outcome = runner.refresh(str(arguments["name"]), request)
        return asdict(outcome) | {"as_of": outcome.as_of and outcome.as_of.isoformat()}

    def audit(arguments: Mapping[str, Any]) -> list[dict[str, Any]]:
        return [asdict(result) for result in runner.audit(str(arguments["table"]))]

    def drop(arguments: Mapping[str, Any]) -> None:
        runner.drop(str(arguments["name"]))

    return {"marts_plan": plan, "mart_refresh": refresh, "mart_drop": drop, "audit": audit}


def _day(text: str | None) -> date | None:
    return None if text is None else date.fromisoformat(text)


def _message(error: Exception) -> str:
    return error.message if isinstance(error, TidemarkError) else f"{type(error).__name__}: {error}"


def _tell(outcome: MartRun) -> None:
    if outcome.state is RunState.FAILED:
        log.error("mart_failed", mart=outcome.mart, as_of=outcome.as_of, seconds=round(outcome.seconds, 3), message=outcome.message)
    else:
        log.info(
            "mart_refreshed",
            mart=outcome.mart,
            as_of=outcome.as_of,
            seconds=round(outcome.seconds, 3),
            rows_written=outcome.rows_written,
            reason=outcome.reason,
        )
