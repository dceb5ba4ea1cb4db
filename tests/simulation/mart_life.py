"""A random life of a worker whose marts are refreshed at random moments, at times in vain: then incremental = full = the reference."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb

from tests.simulation.faults import FaultyConnection, Killed
from tests.simulation.mart_shop import MartShop
from tests.simulation.simulation import Simulation
from tests.simulation.user_marts import MERGED, USERS_EXPECTED, user_marts
from tests.support.mart_reference import EXPECTED, WRITTEN_ONCE, Expected, Facts, Thresholds, mart_differences
from tests.support.mart_reference.compare import same
from tests.support.messages import Produced
from tests.support.oracle_sql import selected
from tests.support.reference import Row
from tests.support.streams import StreamOptions, random_stream
from worker.config import Settings
from worker.marts.definition import Mart, Unit, built_in, ordered, with_inputs
from worker.marts.refresh import MartRun, NotReady, Refresher, Request, RunState, Trigger, add_run

DAYS = (20, 40, 70, 140, 400)
GIVEN = ("accounting", "ledger_sales", "progress", *WRITTEN_ONCE)  # what marts read that is not made anew
KEPT = {  # marts whose rows of sealed days others read, and their column of days
    **dict.fromkeys(("hourly_sessions", "active_day", "product_day", "attribution_event"), "day"),
    "attribution_credit": "order_day",
    "user_cohort": "cohort_date",
}
COVARIANCES = {"covariance": 4, "value_covariance": 3}
LONGEST = 60  # statements of a refresh, about


class MartLife(Simulation):
    """A Simulation with marts: those that come with tidemark, or `marts` with their own reference. Files are made in `directory`."""

    def __init__(
        self,
        seed: int,
        directory: Path,
        messages: int,
        marts: Mapping[str, Mart] | None = None,
        expected: Mapping[str, Expected] = EXPECTED,
    ) -> None:
        self.sealed_rows: dict[str, list[Row]] = {}
        super().__init__(seed, directory, messages)
        if marts is None and self.random.random() < 0.3:
            marts, expected = user_marts(directory / "marts"), USERS_EXPECTED
        self.marts = marts or built_in()
        self.expected = expected
        known: dict[str, Any] = {
            "touch_cohorts": self._one(((), ("first_touch",), ("first_order", "sign_up", "user"))),
            "two_touch": self._one(("proportional", "split_middle")),
            "touch_window_hours": self._one((720, 720, 24)),
            "snapshot_late_days": self._one((7, 30, 30)),
            "min_repeaters": self._one((2, 100)),
            "value_model": self._one(("bg_nbd", "mbg_nbd")),
            "holdout_days": self._one((7, 90)),
        }
        self.thresholds = Thresholds(**known)
        settings = self.settings.marts.parameters() | known | {"touch_cohorts": list(known["touch_cohorts"])}
        self.refresher = Refresher(self.marts, settings, self.settings.reporting_currency)

    def run(self) -> None:
        """Read the log to its end, then compare. Raises AssertionError where something is not as it should be."""
        while self.log.arrivals():
            self._let_messages_arrive()
            self._step(self._poll())
            kind = self.random.random()
            if kind < 0.2:
                self._refresh_perhaps()
            elif kind < 0.25:
                self.check()
            elif kind < 0.3:
                self._restart()
        for _ in range(3):
            self.now += timedelta(minutes=2)
            self._step(self._poll())
        self.check()
        self.store.close()

    def check(self) -> None:
        """All marts are refreshed by what is dirty; they are what the reference says, and what a full refresh makes of them."""
        if self.pipeline.state.watermark.closed_before is None:
            return
        self.met["checks"] += 1
        self._plant_fit()
        as_of = None if self._has_retention or self.random.random() < 0.8 else self._some_day()
        if not self._has_retention:
            for name in MERGED.keys() & self.marts.keys():  # as of an earlier day keys are not there yet, and then they are back
                day = self._some_day() - timedelta(days=self._one((0, 20, 60)))
                self._refresh_one(self.marts[name], Request(as_of=day, is_full=True))
        self._refresh(Request(as_of=as_of))
        facts = self._facts(as_of)
        incremental = {name: self._rows(name) for name in self.marts}
        faults = []
        for name in sorted(self.expected.keys() & self.marts.keys()):
            mart = self.marts[name]
            columns = () if mart.front.internal else mart.columns
            faults += mart_differences(name, mart.key, self._expected(name, facts), _told(name, incremental[name]), columns)
        with self._rolled_back() as connection:
            self._refresh(Request(as_of=as_of, is_full=True), connection)
            for name, rows in incremental.items():
                again, full = selected(connection, f"from {name}"), rows
                if name in MERGED:
                    again, full = _visible(again), _visible(MERGED[name](rows, facts, self._utc_now, is_full=True))
                faults += [f"full refresh: {line}" for line in mart_differences(name, self.marts[name].key, again, full)]
        assert not faults, "\n".join([f"{len(faults)} differences as of {facts.as_of}:", *faults[:40]])

    # What happens

    def _stream(self, seed: int, options: StreamOptions) -> list[Produced]:
        self.is_switching = False
        self.options = replace(options, days=self._one(DAYS), garbage=0.02)
        return random_stream(seed, self.options, MartShop)

    def _settings(self, time_zone: str, has_retention: bool) -> Settings:
        settings = super()._settings(time_zone, has_retention=False)
        days = settings.time.allowed_lateness.days + self._one((20, 60)) if self.random.random() < 0.3 else None
        currency = self._one(("USD", "USD", "USD", "EUR"))
        return settings.model_copy(
            update={"retention": settings.retention.model_copy(update={"days": days}), "reporting_currency": currency}
        )

    @property
    def _has_retention(self) -> bool:
        return self.settings.retention.days is not None

    def _let_messages_arrive(self) -> None:
        """Fewer at once than where no marts are refreshed between them."""
        arrivals = self.log.arrivals()
        self.now = max(self.now, arrivals[min(self._one((0, 3, 10, 40)), len(arrivals) - 1)]) + self._one(
            (timedelta(0), timedelta(minutes=3))
        )
        self.log.visible_until = self.now

    def _survived(self, commit: Callable[[], None]) -> bool:
        """Fewer deaths than where nothing else is tried."""
        if self.random.random() < 0.2:
            return super()._survived(commit)
        commit()
        return True

    def _restart(self) -> None:
        self.met["restarts"] += 1
        self.store.close()
        self._open()

    def _follow(self) -> None:
        """The history of days is others' to tell."""
        self.met["commits"] += 1
        sealed_before = self.pipeline.state.sealed_before
        if sealed_before is not None and sealed_before > self.reference.sealed_before:
            self.met["seals"] += 1
            self.reference.seal(sealed_before)

    def _plant_fit(self) -> None:
        """Customers this few have no likeliest parameters, so now and then a fit is made up."""
        fits = self._rows("value_model_fit")
        if not fits or self.random.random() < 0.5:
            return
        one = self.random.uniform
        fit = max(fits, key=lambda row: row["fit_id"])
        fit |= {"fit_id": fit["fit_id"] + 1, "status": "converged", "value_status": "converged"}
        fit |= {"r": one(0.2, 3), "alpha": one(3, 50), "a": one(0.2, 0.9), "b": one(0.5, 5)}
        fit |= {"p": one(1, 7), "q": one(1.5, 5), "v": one(100, 5000)}
        fit |= {name: [one(0.01, 0.1) if i == j else 0.001 for i in range(size) for j in range(size)] for name, size in COVARIANCES.items()}
        with self.store.cursor() as connection:
            connection.execute(f"insert into value_model_fit ({', '.join(fit)}) values ({', '.join(f'${name}' for name in fit)})", fit)
            made_up = MartRun("value_model_fit", RunState.DONE, fit["as_of"], rows_written=1)
            add_run(connection, made_up, Trigger.COMMAND, self._utc_now)
        self.met["made-up fits"] += 1

    def _some_day(self) -> date:
        """Any, open ones too."""
        closed_before = self.pipeline.state.watermark.closed_before
        assert closed_before is not None
        return closed_before - timedelta(days=self._one((-3, 1, 2, 10)))

    # Refreshes

    def _refresh_perhaps(self) -> None:
        """Some or all of the marts are refreshed; one of them fails, or the worker dies amid it, or all goes well."""
        fault = self._one(("none", "none", "disk", "kill")) if not self._has_retention else "none"
        names = self.random.sample(sorted(self.marts), min(self._one((1, 3, 99)), len(self.marts)))
        self.met[f"refreshes, {fault}"] += 1
        for mart in ordered(self.marts[name] for name in with_inputs(names, self.marts)):
            if fault == "none" or self.random.random() < 0.9:
                self._refresh_one(mart, Request(is_full=mart.name in MERGED and self.random.random() < 0.5))
            elif not self._failing_refresh(mart, fault):
                return

    def _refresh(self, request: Request, connection: duckdb.DuckDBPyConnection | None = None) -> None:
        for mart in ordered(self.marts.values()):
            self._refresh_one(mart, request, connection)

    def _refresh_one(self, mart: Mart, request: Request, connection: duckdb.DuckDBPyConnection | None = None) -> None:
        if connection is not None:
            self.refresher.refresh(connection, mart, request, self.now)
            return
        before = self._rows(mart.name) if mart.name in WRITTEN_ONCE or mart.name in MERGED else []
        try:
            with self.store.cursor() as own:
                done = self.refresher.refresh(own, mart, request, self.now)
        except NotReady:
            assert self.pipeline.state.watermark.closed_before is None or request.as_of is None
            return
        if mart.name in WRITTEN_ONCE:
            self._check_added(mart.name, before, self._facts(request.as_of))
        if mart.name in MERGED:
            self._check_merged(mart, before, self._facts(request.as_of), is_full=bool(done.reason))
        if self._has_retention and mart.front.kept_by is not None:
            self._expected(mart.name, self._facts(request.as_of))

    def _failing_refresh(self, mart: Mart, fault: str) -> bool:
        """Its rows are those that were, or where the worker died perhaps the new ones. False: the worker died."""
        before = self._rows(mart.name)
        survivor = self.file.with_name(f"{int(self.file.stem) + 1}.duckdb") if fault == "kill" else None
        try:
            with self.store.cursor() as connection:
                faulty: Any = FaultyConnection(connection, self.random.randint(1, LONGEST), survivor, self.file, self.random.random() < 0.5)
                self.refresher.refresh(faulty, mart, Request(), self.now)
        except duckdb.IOException:
            self.met["failed refreshes"] += 1
            assert self._rows(mart.name) == before, f"{mart.name} has changed by a refresh that failed"
        except Killed:
            self.met["deaths amid a refresh"] += 1
            assert survivor is not None
            self.store.close()
            self._move_to(survivor)
            self._open()
            return False
        except NotReady:
            pass
        return True

    @contextmanager
    def _rolled_back(self) -> Iterator[Any]:
        """A connection whose refreshes are as if they had not been."""
        with self.store.cursor() as connection:
            connection.execute("begin")
            yield _OneTransaction(connection)
            connection.execute("rollback")

    # What is compared

    def _facts(self, as_of: date | None) -> Facts:
        closed_before = self.pipeline.state.watermark.closed_before
        assert closed_before is not None
        given = {name: self._rows(name) for name in GIVEN}
        for name, day in KEPT.items():
            given[name] = [row for row in self.sealed_rows.get(name, []) if row[day] < self.reference.sealed_before]
        return Facts.of(self.reference, as_of or closed_before - timedelta(days=1), given, self.thresholds)

    def _expected(self, name: str, facts: Facts) -> list[Row]:
        """Rows of sealed periods are what they were at the mart's last refresh before; those of a view, what its inputs are."""
        if name not in self.expected:
            return []
        mart, sealed_before = self.marts[name], self.reference.sealed_before
        rows, kept_by = self.expected[name](facts), mart.front.kept_by
        if kept_by is not None and mart.unit is not Unit.VIEW and sealed_before > date.min:
            rows = [row for row in rows if row[kept_by] >= sealed_before]
            rows += [row for row in self.sealed_rows.get(name, []) if row[kept_by] < sealed_before]
        self.sealed_rows[name] = rows
        return rows

    def _check_added(self, name: str, before: list[Row], facts: Facts) -> None:
        """What a refresh has added to a mart that is written once."""
        added = [row for row in facts.given[name] if row not in before]
        assert all(row in facts.given[name] for row in before), f"{name} has lost rows"
        self.met[f"rows of {name}"] += bool(added)
        faults = WRITTEN_ONCE[name](facts, before, added)
        assert not faults, "\n".join([f"{len(faults)} faults as of {facts.as_of}:", *faults[:40]])

    def _check_merged(self, mart: Mart, before: list[Row], facts: Facts, *, is_full: bool) -> None:
        """What a refresh has made of a mart that is merged, which depends on the way."""
        expected, found = MERGED[mart.name](before, facts, self._utc_now, is_full=is_full), self._rows(mart.name)
        marked = {row["order_id"] for row in before if row["_is_deleted"]}
        self.met["merged rows that vanished"] += sum(row["_is_deleted"] and row["order_id"] not in marked for row in found)
        self.met["merged rows that came back"] += sum(not row["_is_deleted"] and row["order_id"] in marked for row in found)
        faults = mart_differences(mart.name, mart.key, _visible(expected), _visible(found))
        assert not faults, "\n".join([f"{len(faults)} differences as of {facts.as_of}:", *faults[:40]])

    @property
    def _utc_now(self) -> datetime:
        """As the file has it, without a zone."""
        return self.now.astimezone(UTC).replace(tzinfo=None)

    def _rows(self, name: str) -> list[Row]:
        with self.store.cursor() as connection:
            try:
                return selected(connection, f"from {name} order by all")
            except duckdb.CatalogException:  # it was never refreshed
                return []


def _visible(rows: list[Row]) -> list[Row]:
    """The marks of a merged mart are its own columns: what begins with _ is not compared."""
    return [{name.removeprefix("_"): value for name, value in row.items()} for row in rows]


class _OneTransaction:
    """Begin and commit are left to another."""

    def __init__(self, connection: duckdb.DuckDBPyConnection) -> None:
        self._connection = connection

    def execute(self, query: Any, parameters: Any = None) -> Any:
        return self._connection if query in ("begin", "commit") else self._connection.execute(query, parameters)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


SAYS_NOTHING: Mapping[str, Mapping[str, object]] = {
    "attribution_touch": {"weight": 0},
    "attribution_channel": {"conversions": 0, "credit_cents": 0, "cost_cents": 0},
    "attribution_campaign": {"conversions": 0, "credit_cents": 0, "cost_cents": 0},
    "product_day": {"category": None, "scored_reviews": 0},
}


def _told(name: str, rows: list[Row]) -> list[Row]:
    """Less the rows that say nothing, which may be there or not: a touch of weight 0, a channel of a period without credit and cost."""
    empty = SAYS_NOTHING.get(name, {})
    return [row for row in rows if not empty or any(not same(value, row[column]) for column, value in empty.items())]
