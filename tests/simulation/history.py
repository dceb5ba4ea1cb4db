"""What must be so of the days' history: which days are closed and sealed, how often they changed, what the ledger adds up to."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from datetime import date

import duckdb

from tests.support.oracle_sql import selected
from tests.support.reference import Row
from worker.tables import TABLES

DAILY = [name for name, table in TABLES.items() if table.is_daily]
MONEY = ("gross_cents", "discount_cents", "refunded_cents", "tax_cents", "net_cents", "cost_cents")

Contents = dict[date, frozenset[tuple[object, ...]]]  # the daily rows of each day
Sums = Counter[tuple[date, str, str]]  # by day, currency ("" for touchpoints and orders of all), measure


class DayHistory:
    """Follows the expected daily tables from commit to commit."""

    def __init__(self) -> None:
        self.closed_before: date | None = None
        self.sealed_before: date | None = None
        self._changes: Counter[date] = Counter()
        self._contents: Contents = {}
        self._at_closing: Sums = Counter()
        self._now: Sums = Counter()

    def committed(
        self, tables: Mapping[str, list[Row]], tables_on: Iterable[str], closed_before: date | None, sealed_before: date | None
    ) -> None:
        """A commit led to these expected tables and to this watermark. `tables_on` are those that the commit could change."""
        assert self.closed_before is None or (closed_before is not None and closed_before >= self.closed_before)
        contents = _contents(tables, tables_on)
        for day in contents.keys() | self._contents.keys():
            if _is_before(day, self.closed_before) and not _is_before(day, self.sealed_before):
                self._changes[day] += contents.get(day) != self._contents.get(day)
        self._contents = contents
        self._now = _sums(tables)
        newly_closed = {key for key in self._now if _is_before(key[0], closed_before) and not _is_before(key[0], self.closed_before)}
        self._at_closing.update({key: self._now[key] for key in newly_closed})
        self.closed_before, self.sealed_before = closed_before, sealed_before

    def switched(self, tables: Mapping[str, list[Row]], tables_on: Iterable[str]) -> None:
        """Tables were switched off or on, which is no change of a day."""
        self._contents = _contents(tables, tables_on)

    def faults(self, connection: duckdb.DuckDBPyConnection, with_ledger: bool) -> list[str]:
        """What is not so in the file. The ledger adds up only where no table was ever switched off."""
        states = {row["day"]: row for row in selected(connection, "from day_state")}
        missing = {day for day in self._contents.keys() - states.keys() if not _is_before(day, self.sealed_before)}
        faults = [f"day_state: no row for {day}" for day in sorted(missing)]
        for day, state in states.items():
            is_closed, is_sealed = _is_before(day, self.closed_before), _is_before(day, self.sealed_before)
            expected = (not is_closed, is_sealed, 1 + self._changes[day] if is_closed else None)
            found = (state["is_open"], state["is_sealed"], state["revision"])
            if found != expected:
                faults.append(f"day_state {day}: (is_open, is_sealed, revision) expected {expected}, is {found}")
        return faults + (self._ledger_faults(connection) if with_ledger else [])

    def _ledger_faults(self, connection: duckdb.DuckDBPyConnection) -> list[str]:
        ledger: Sums = Counter()
        for row in selected(connection, "from ledger"):
            ledger[row["day"], "", "touchpoints"] += row["touchpoints"]
            ledger[row["day"], "", "orders"] += row["orders"]
        for row in selected(connection, "from ledger_sales"):
            for measure in ("orders", *MONEY):
                ledger[row["day"], row["currency"], measure] += row[measure]
        return [
            f"ledger {key}: {self._at_closing[key]} at closing and {ledger[key]} in the ledger are not {self._now[key]}"
            for key in {*ledger, *self._now, *self._at_closing}
            if _is_before(key[0], self.closed_before) and self._at_closing[key] + ledger[key] != self._now[key]
        ]


def _is_before(day: date, limit: date | None) -> bool:
    return limit is not None and day < limit


def _contents(tables: Mapping[str, list[Row]], tables_on: Iterable[str]) -> Contents:
    contents = defaultdict(set)
    for name in set(DAILY) & set(tables_on):
        for row in tables[name]:
            contents[row["day"]].add((name, *row.items()))
    return {day: frozenset(rows) for day, rows in contents.items()}


def _sums(tables: Mapping[str, list[Row]]) -> Sums:
    sums: Sums = Counter()
    for row in tables["hourly_traffic"]:
        sums[row["day"], "", "touchpoints"] += row["touchpoints"]
    for row in tables["daily_sales"]:
        sums[row["day"], "", "orders"] += row["orders"]
        for measure in ("orders", *MONEY):
            sums[row["day"], row["currency"], measure] += row[measure]
    return sums
