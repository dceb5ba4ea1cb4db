"""The approaches on a small shop, against the contract's reference in plain Python: who is right, and where the window must be wrong."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest

from tests.support.arrivals import ArrivalLog, ordered, touched
from tests.support.reference import Reference
from tests.support.reference.decoding import Invalid, decoded_event
from worker.approaches import arrow_engine
from worker.approaches.arrow_engine import ArrowEngine
from worker.approaches.batch import Engine, FullBatch, Raw, Staging
from worker.approaches.compare import BY_KEY, FULL_BATCH, STAGING, TIDEMARK, WINDOW, Comparison, Setup, compare, wrong_days
from worker.approaches.nights import Arrived, Night, nights
from worker.approaches.ours import shop_decoder
from worker.approaches.rows import DAILY, KEYS, in_order
from worker.approaches.sql_engine import SqlEngine
from worker.demo.delivery import writer_schemas
from worker.errors import Differences
from worker.events import Stream

UTC_ZONE = ZoneInfo("UTC")
SMALL = Setup(days=28, seed=5, visitors=600, late_share=0.06, window_days=6)
WRITERS: Mapping[int | str, Any] = dict(writer_schemas().items())


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Comparison:
    return compare(SMALL, tmp_path_factory.mktemp("approaches"), lambda _: None)


@pytest.fixture(scope="module")
def arrived() -> list[Night]:
    return nights(SMALL.seed, SMALL.visitors, SMALL.days, SMALL.late_share)


def reference_tables(arrived: list[Night], is_taken: Callable[[Arrived, date], bool]) -> Mapping[str, list[dict[str, Any]]]:
    """The contract's tables of those messages that are taken, by the day on which they arrived."""
    reference = Reference(reporting_time_zone="UTC", reporting_currency="USD", writer_schemas=WRITERS)
    for night in arrived:
        for stream, messages in night.messages.items():
            for message in messages:
                if is_taken(message, night.day):
                    reference.process(stream, message, night.over)
    return reference.tables()


class Ages:
    """How many days after its own an event arrived; for a tombstone, its order's day."""

    def __init__(self, arrived: list[Night]) -> None:
        self._day_of_order: dict[bytes, date] = {}
        for night in arrived:
            for message in night.messages[Stream.ORDERS]:
                if (day := self._own_day(message)) is not None:
                    self._day_of_order[message.key()] = day

    def __call__(self, message: Arrived, arrived: date) -> int:
        day = self._day_of_order.get(message.key()) if message.value() is None else self._own_day(message)
        return 0 if day is None else (arrived - day).days

    def _own_day(self, message: Arrived) -> date | None:
        if message.value() is None:
            return None
        try:
            day: date = decoded_event(message.stream, message, WRITERS, UTC_ZONE, datetime(2030, 1, 1, tzinfo=UTC))["day"]
        except Invalid:
            return None
        return day


Keyed = Mapping[str, Mapping[tuple[Any, ...], tuple[int, ...]]]


def keyed(tables: Mapping[str, list[dict[str, Any]]]) -> Keyed:
    """The compared tables as key -> measures."""
    return {
        name: {
            tuple(row[column] for column in KEYS[name]): tuple(row[column] for column in schema.names if column not in KEYS[name])
            for row in tables[name]
        }
        for name, schema in DAILY.items()
    }


def totals(tables: Keyed) -> Counter[tuple[date, str]]:
    """By day: orders, touchpoints, and net cents by currency."""
    sums: Counter[tuple[date, str]] = Counter()
    net = DAILY["daily_sales"].names.index("net_cents") - len(KEYS["daily_sales"])
    for (day, currency, *_), measures in tables["daily_sales"].items():
        sums[day, "orders"] += measures[0]
        sums[day, currency] += measures[net]
    for (day, _), measures in tables["daily_reach"].items():
        sums[day, "touchpoints"] += measures[0]
    return sums


def test_the_window_is_wrong_on_exactly_the_days_whose_events_came_when_it_had_left_them(small: Comparison, arrived: list[Night]) -> None:
    age = Ages(arrived)
    truth = keyed(reference_tables(arrived, lambda *_: True))
    seen = keyed(reference_tables(arrived, lambda message, day: age(message, day) < SMALL.window_days))
    days = {key[0] for name in truth for key in truth[name].keys() | seen[name].keys() if truth[name].get(key) != seen[name].get(key)}
    found = small.outcome(WINDOW).wrong_days
    assert [wrong.day for wrong in found] == sorted(days)
    assert 10 < len(days) <= SMALL.days - SMALL.window_days
    off = totals(seen)
    off.subtract(totals(truth))
    for wrong in found:
        assert (wrong.orders, wrong.touchpoints) == (off[wrong.day, "orders"], off[wrong.day, "touchpoints"])
        assert wrong.net_cents == {currency: off[wrong.day, currency] for currency in ("USD", "CAD") if off[wrong.day, currency]}
    assert any(wrong.orders for wrong in found)
    assert any(wrong.net_cents for wrong in found)


def test_all_others_are_right_by_both_engines(small: Comparison) -> None:
    assert [(outcome.approach, outcome.engine) for outcome in small.outcomes if not outcome.wrong_days] == [
        (FULL_BATCH, "SQL"),
        (FULL_BATCH, "Arrow"),
        (STAGING, "SQL"),
        (STAGING, "Arrow"),
        (TIDEMARK, "worker"),
        (TIDEMARK, "worker"),
    ]


def test_the_data_has_what_makes_approaches_differ(small: Comparison, arrived: list[Night]) -> None:
    assert small.late_rows(1) > small.late_rows(SMALL.window_days) > small.late_rows(20) > 0
    assert small.late_rows(14) < small.late_rows(1) / 2  # most come within two weeks
    orders = Counter(message.key() for night in arrived for message in night.messages[Stream.ORDERS])
    assert max(orders.values()) > 1
    assert any(message.value() is None for night in arrived for message in night.messages[Stream.ORDERS])
    values = Counter(message.value() for night in arrived for message in night.messages[Stream.TOUCHPOINTS])
    assert max(values.values()) > 1


def test_what_an_approach_reads_does_not_depend_on_its_engine(small: Comparison) -> None:
    for approach in (FULL_BATCH, STAGING, WINDOW):
        sql, arrow = (outcome for outcome in small.outcomes if outcome.approach == approach)
        assert sql.reads == arrow.reads
        assert [(night.rows, night.bytes) for night in sql.nights] == [(night.rows, night.bytes) for night in arrow.nights]


def test_the_full_batch_reads_more_every_night_and_the_worker_by_key_less_than_the_window(small: Comparison) -> None:
    full = [night.bytes for night in small.outcome(FULL_BATCH).nights]
    assert full == sorted(full)
    assert small.outcome(TIDEMARK, BY_KEY).bytes < small.outcome(WINDOW).bytes < small.outcome(STAGING).bytes < sum(full)


def test_the_same_seed_gives_the_same_comparison_and_another_seed_other_messages(tmp_path: Path) -> None:
    setup = Setup(days=7, seed=1, visitors=100, late_share=0.2, window_days=2)
    told = []
    for number in range(2):
        (directory := tmp_path / str(number)).mkdir()
        told.append([(outcome.reads, outcome.wrong_days) for outcome in compare(setup, directory, lambda _: None).outcomes])
    assert told[0] == told[1]
    assert nights(1, 100, 7, 0.2) != nights(2, 100, 7, 0.2)


def test_an_event_of_twenty_days_ago_is_missed_by_a_fortnights_window_alone() -> None:
    log, raw = ArrivalLog(), Raw(shop_decoder())
    engine = SqlEngine()
    full, window = FullBatch(engine, raw), Staging(engine, raw, window_days=14)
    for night in (
        log.night("2026-03-02", touched(1, "2026-03-02 10:00"), ordered("o1", "2026-03-02 10:00")),
        log.night("2026-03-22", touched(2, "2026-03-02 11:00"), ordered("o2", "2026-03-02 11:00"), ordered("o3", "2026-03-22 11:00")),
    ):
        raw.land(night)
        full.run(night)
        window.run(night)
    (wrong,) = wrong_days(*({name: runner.table(name) for name in DAILY} for runner in (window, full)))
    assert (str(wrong.day), wrong.orders, wrong.net_cents, wrong.touchpoints) == ("2026-03-02", -1, {"USD": -1000}, -1)


@pytest.mark.parametrize("age", [13, 14])
def test_a_window_of_fourteen_days_takes_what_is_thirteen_days_late_and_no_more(age: int) -> None:
    log, raw = ArrivalLog(), Raw(shop_decoder())
    window = Staging(ArrowEngine(), raw, window_days=14)
    arrives = date(2026, 3, 2) + timedelta(days=age)
    for night in (
        log.night("2026-03-02", touched(1, "2026-03-02 10:00")),
        log.night(arrives.isoformat(), touched(2, "2026-03-02 11:00")),
    ):
        raw.land(night)
        window.run(night)
    assert window.table("daily_reach")["touchpoints"].to_pylist() == [2 if age < 14 else 1]


def test_both_engines_agree_however_the_rows_fall_into_batches(monkeypatch: pytest.MonkeyPatch, arrived: list[Night]) -> None:
    monkeypatch.setattr(arrow_engine, "BATCH_ROWS", 97)
    raw = Raw(shop_decoder())
    for night in arrived:
        raw.land(night)
    engines: list[Engine] = [SqlEngine(), ArrowEngine()]
    sql, arrow = (FullBatch(engine, raw) for engine in engines)
    for runner in (sql, arrow):
        runner.run(arrived[-1])
    assert len(arrow.table("daily_reach")) > 97
    for name in DAILY:
        assert sql.table(name).equals(arrow.table(name))


def test_approaches_that_must_agree_and_do_not_end_the_comparison(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    right = ArrowEngine.daily_reach

    def one_too_many(self: ArrowEngine, touchpoints: pa.Table) -> pa.Table:
        rows = right(self, touchpoints)
        return in_order("daily_reach", pa.concat_tables([rows, rows.slice(0, 1)]))

    monkeypatch.setattr(ArrowEngine, "daily_reach", one_too_many)
    with pytest.raises(Differences, match=r"after the night of 2026-03-02, full batch \(Arrow\) and full batch \(SQL\)"):
        compare(replace(SMALL, days=7, visitors=100), tmp_path, lambda _: None)
