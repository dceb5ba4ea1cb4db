"""Which marts are due, and what becomes of the others when one fails."""

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.marts import mart
from tests.support.worker import Worker, order, touch
from worker.config import Marts
from worker.errors import ConfigError, Unavailable
from worker.marts.definition import Mart, parse
from worker.marts.due import Failures, Patience, due
from worker.marts.functions import FUNCTIONS
from worker.marts.refresh import MartRun, MartState, Refresher, Request, RunState
from worker.marts.runner import MartRunner

NOON = datetime(2026, 3, 8, 12, tzinfo=UTC).replace(tzinfo=None)  # as the file has it
CLOSED_BEFORE = date(2026, 3, 7)
PATIENCE = Patience(3, timedelta(minutes=5))


def simple(name: str, *, reads: str = "counted_order", front: str = "", select: str = "") -> Mart:
    columns = select or f"select distinct customer_id from {reads}"
    return mart(name, front, columns, grain="customer_id", reads=reads)


FIRST, SECOND, HOURLY = simple("first"), simple("second", reads="first"), simple("hourly", front='schedule = "1h"')
VERSIONS = {"first": "1", "second": "1", "hourly": "1"}


def state(name: str, *, closed_before: date = CLOSED_BEFORE, version: str = "1", refreshed_at: datetime = NOON) -> MartState:
    as_of = closed_before - timedelta(days=1)
    return MartState(name, version, as_of, False, NOON, 0, closed_before, None, refreshed_at, 1)


def names(*states: MartState, failures: Mapping[str, Failures] | None = None, now: datetime = NOON) -> list[str]:
    known = {state.mart: state for state in states}
    return [found.name for found in due([FIRST, SECOND, HOURLY], VERSIONS, known, failures or {}, CLOSED_BEFORE, now, PATIENCE)]


def test_a_mart_that_was_never_refreshed_is_due() -> None:
    assert names() == ["first", "second", "hourly"]


def test_nothing_is_due_until_a_day_closes() -> None:
    assert names(state("first"), state("second"), state("hourly")) == []
    yesterday = CLOSED_BEFORE - timedelta(days=1)
    assert names(*(state(name, closed_before=yesterday) for name in VERSIONS)) == ["first", "second", "hourly"]


def test_a_mart_of_another_definition_is_due() -> None:
    assert names(state("first"), state("second", version="0"), state("hourly")) == ["second"]


def test_an_interval_is_counted_from_the_last_refresh() -> None:
    states = state("first"), state("second"), state("hourly")
    assert names(*states, now=NOON + timedelta(minutes=59)) == []
    assert names(*states, now=NOON + timedelta(hours=1)) == ["hourly"]


def test_a_failed_mart_is_tried_three_times_more_five_minutes_apart() -> None:
    states = state("second"), state("hourly")
    failed = Failures("1", date(2026, 3, 6), 3, NOON)
    assert names(*states, failures={"first": failed}, now=NOON + timedelta(minutes=4)) == []
    assert names(*states, failures={"first": failed}, now=NOON + timedelta(minutes=5)) == ["first"]
    given_up = Failures("1", date(2026, 3, 6), 4, NOON)
    assert names(*states, failures={"first": given_up}, now=NOON + timedelta(minutes=30)) == []
    of_another_day = Failures("1", date(2026, 3, 5), 4, NOON)
    assert names(*states, failures={"first": of_another_day}, now=NOON) == ["first"]


def test_what_reads_a_mart_that_failed_waits() -> None:
    failed = Failures("1", date(2026, 3, 6), 1, NOON)
    assert names(state("hourly"), failures={"first": failed}) == []


# The runner


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(tmp_path)
    worker.feed(order("o1", "2026-03-05"), touch("c1", "2026-03-05"), close="2026-03-06")
    yield worker
    worker.close()


def runner(worker: Worker, *marts: Mart, tables_off: Iterable[str] = (), **settings: Any) -> MartRunner:
    refresher = Refresher({each.name: each for each in marts}, {}, "USD")
    return MartRunner(worker.store.cursor, refresher, Marts(**settings), frozenset(tables_off), lambda: worker.now)


def planned(marts: MartRunner, names: list[str], as_of: date | None = None) -> list[str]:
    return [name for name, _ in marts.plan(names, as_of).steps]


def outcomes(runs: list[MartRun]) -> list[tuple[str, str]]:
    return [(run.mart, run.state.value) for run in runs]


def test_what_needs_a_table_that_is_off_is_left_out_unless_it_is_named(worker: Worker) -> None:
    by_day = mart("by_day", "", "select day, orders from daily_sales", grain="day", reads="daily_sales")
    above = mart("above", "", "select day from by_day", grain="day", reads="by_day")
    marts = runner(worker, by_day, above, FIRST, tables_off={"daily_sales"})
    assert outcomes(marts.refresh_due()) == [("first", "done")]
    assert planned(marts, []) == ["first"]
    assert set(planned(marts, ["above"])) == {"by_day", "above"}


def test_a_mart_that_fails_stops_nobody_else(worker: Worker) -> None:
    broken = simple("broken", select="select cast('x' as integer) as customer_id from counted_order")
    marts = runner(worker, broken, simple("above", reads="broken"), FIRST)
    assert outcomes(marts.refresh_due()) == [("broken", "failed"), ("above", "waits"), ("first", "done")]
    assert outcomes(marts.refresh_due()) == []
    worker.now += timedelta(minutes=6)
    assert outcomes(marts.refresh_due()) == [("broken", "failed"), ("above", "waits")]
    assert worker.query("select mart, state, message like 'ConversionException: %' from mart_run order by id") == [
        ("broken", "failed", True),
        ("first", "done", False),
        ("broken", "failed", True),
    ]


def test_marts_wait_while_the_worker_is_behind(worker: Worker) -> None:
    marts = runner(worker, FIRST, SECOND)
    looks = iter([False, True])
    assert outcomes(marts.refresh_due(lambda: next(looks))) == [("first", "done")]
    assert outcomes(marts.refresh_due()) == [("second", "done")]


def test_a_plan_takes_in_what_is_not_up_to_date(worker: Worker) -> None:
    marts = runner(worker, FIRST, SECOND, HOURLY)
    assert planned(marts, ["second"]) == ["first", "second"]
    marts.refresh_due()
    assert planned(marts, ["second"]) == ["second"]
    assert planned(marts, ["second"], date(2026, 3, 5)) == ["first", "second"]
    assert planned(marts, []) == ["first", "hourly", "second"]
    with pytest.raises(ConfigError, match="no mart secnd"):
        marts.plan(["secnd"], None)


def test_a_refresh_beyond_its_timeout_is_ended(worker: Worker) -> None:
    endless = simple(
        "endless", select="select cast(max(a.i * b.i) as varchar) as customer_id from range(1000000) as a(i), range(1000000) as b(i)"
    )
    run = runner(worker, endless, timeout="300ms").refresh("endless", Request())
    assert run.state is RunState.FAILED
    assert run.message.endswith("marts.timeout")


def test_a_refresh_gives_way_to_a_commit_that_needs_its_memory_and_none_begins_meanwhile(worker: Worker) -> None:
    endless = simple(
        "endless", select="select cast(max(a.i * b.i) as varchar) as customer_id from range(1000000) as a(i), range(1000000) as b(i)"
    )
    runs: list[MartRun] = []
    marts = runner(worker, endless, FIRST)
    with marts.held_off() as was_busy:
        assert not was_busy
    both = [lambda: runs.append(marts.refresh("endless", Request())), lambda: runs.append(marts.refresh("first", Request()))]
    threads = [threading.Thread(target=each) for each in both]
    threads[0].start()
    while not marts.is_busy:
        time.sleep(0.01)
    with marts.held_off() as was_busy:
        assert was_busy
        threads[1].start()
        threads[0].join()
        worker.feed(order("o2", "2026-03-05"))
        assert [(run.mart, run.state, run.message.startswith("it gave way to a commit")) for run in runs] == [
            ("endless", RunState.FAILED, True)
        ]
    threads[1].join()
    assert [(run.mart, run.state) for run in runs[1:]] == [("first", RunState.DONE)]


def test_a_worker_that_stops_begins_no_refresh(worker: Worker) -> None:
    marts = runner(worker, FIRST)
    marts.stop()
    with pytest.raises(Unavailable, match="the worker stops"):
        marts.refresh_due()
    assert worker.rows("mart_run") == []


def test_a_worker_that_stops_ends_the_refresh(worker: Worker) -> None:
    endless = simple(
        "endless", select="select cast(max(a.i * b.i) as varchar) as customer_id from range(1000000) as a(i), range(1000000) as b(i)"
    )
    marts = runner(worker, endless)
    ended: list[str] = []

    def refresh() -> None:
        try:
            marts.refresh("endless", Request())
        except Unavailable as error:
            ended.append(error.message)

    thread = threading.Thread(target=refresh)
    thread.start()
    marts.stop()
    thread.join()
    assert ended == ["the worker stops"]
    assert worker.query("select count(*) from mart_run") == [(0,)]


def test_entries_that_every_mart_has_seen_are_forgotten(worker: Worker) -> None:
    marts = runner(worker, simple("by_customer", front='unit = "customer"'), FIRST)
    marts.refresh_due()
    worker.feed(order("o1", "2026-03-05", updated="2026-03-09", customer_id="c2"), close="2026-03-08")
    assert worker.query("select count(*) from mart_dirty") == [(1,)]
    marts.refresh_due()
    assert (worker.rows("by_customer"), worker.query("select count(*) from mart_dirty")) == ([("c2",)], [(0,)])


def test_old_runs_are_forgotten_but_for_those_that_say_how_a_mart_stands(worker: Worker) -> None:
    once = simple("once", select="select cast(if(count(*) > 1, 'x', '1') as integer) as customer_id from counted_order")
    runner(worker, once, FIRST, HOURLY).refresh_due()
    began = worker.now
    worker.feed(order("o2", "2026-03-06"), close="2026-03-07")
    for later in (timedelta(days=29), timedelta(days=30, hours=1)):
        worker.now = began + later
        runner(worker, once, FIRST, HOURLY).refresh_due()
    assert worker.query("select mart, state, date_diff('day', min(started_at) over (), started_at) from mart_run order by id") == [
        ("once", "done", 0),  # when it last went well
        ("first", "done", 29),
        ("hourly", "done", 29),
        ("once", "failed", 29),
        ("hourly", "done", 30),
        ("once", "failed", 30),
    ]


# Marts that nothing defines any more


def kept_of(worker: Worker, name: str) -> list[int]:
    """How much there is of the mart in the books, and whether its table is there."""
    books = [f"select count(*) from {table} where mart = '{name}'" for table in ("mart_run", "mart_state")]
    books.append(f"select count(*) from duckdb_tables() where table_name = '{name}'")
    return [worker.query(sql)[0][0] for sql in books]


def test_the_table_of_a_mart_that_is_gone_stays_until_it_is_dropped(worker: Worker) -> None:
    runner(worker, FIRST, HOURLY).refresh_due()
    marts = runner(worker, FIRST)
    assert kept_of(worker, "hourly") == [1, 1, 1]
    with pytest.raises(ConfigError, match="mart first is defined"):
        marts.drop("first")
    with pytest.raises(ConfigError, match='no mart hurly that is gone; did you mean "hourly"'):
        marts.drop("hurly")
    marts.drop("hourly")
    assert (kept_of(worker, "hourly"), kept_of(worker, "first")) == ([0, 0, 0], [1, 1, 1])


def test_a_view_that_is_gone_is_dropped_too(worker: Worker) -> None:
    runner(
        worker, mart("seen", 'unit = "view"', "select order_id from order_current", grain="order_id", reads="order_current")
    ).refresh_due()
    runner(worker, FIRST).drop("seen")
    assert worker.query("select count(*) from duckdb_views() where view_name = 'seen'") == [(0,)]


def test_a_table_that_no_mart_has_made_is_not_dropped_with_one_of_its_name(worker: Worker) -> None:
    assert outcomes(runner(worker, simple("customer_day")).refresh_due()) == [("customer_day", "failed")]
    before = worker.rows("customer_day")
    runner(worker, FIRST).drop("customer_day")
    assert (worker.rows("customer_day"), before != []) == (before, True)


def test_what_reads_a_mart_that_is_gone_fails(worker: Worker) -> None:
    runner(worker, FIRST, SECOND).refresh_due()
    run = runner(worker, SECOND).refresh("second", Request())
    assert (run.state, run.message) == (RunState.FAILED, "mart second reads first, which nothing defines any more")


def test_a_mart_that_comes_back_has_missed_nothing(worker: Worker) -> None:
    """Whom an order has left stands in mart_dirty only until all marts that are defined have seen it."""
    by_customer = simple("by_customer", front='unit = "customer"')
    runner(worker, by_customer, FIRST).refresh_due()
    worker.feed(order("o1", "2026-03-05", updated="2026-03-09", customer_id="c2"), close="2026-03-08")
    runner(worker, FIRST).refresh_due()
    assert worker.query("select count(*) from mart_dirty") == [(0,)]
    runner(worker, by_customer, FIRST).refresh_due()
    assert worker.rows("by_customer") == [("c2",)]


# The ends of months


MEMBER = parse(
    "member",
    """-- member: the days as of which it was refreshed.
-- grain: (shows)   reads: first
/*
unit = "append"
sees_month_ends = true
[columns]
shows = { type = "date", about = "the day" }
*/
select cast($as_of as date) as shows""",
)


def test_no_end_of_a_month_is_passed_over(worker: Worker) -> None:
    marts = runner(worker, FIRST, MEMBER)
    marts.refresh_due()
    worker.close_day("2026-05-02")
    runs = [(run.mart, str(run.as_of)) for run in marts.refresh_due()]
    assert runs == [(name, day) for day in ("2026-03-31", "2026-04-30", "2026-05-02") for name in ("first", "member")]
    assert worker.rows("member") == [("2026-03-06",), ("2026-03-31",), ("2026-04-30",), ("2026-05-02",)]
    assert marts.refresh_due() == []


def test_what_stopped_amid_an_end_of_a_month_goes_on(worker: Worker) -> None:
    marts = runner(worker, FIRST, MEMBER)
    marts.refresh_due()
    worker.close_day("2026-04-01")
    looks = iter([False, True, True, True])
    assert [(run.mart, str(run.as_of)) for run in marts.refresh_due(lambda: next(looks))] == [("first", "2026-03-31")]
    marts.refresh_due()
    assert worker.rows("member") == [("2026-03-06",), ("2026-03-31",), ("2026-04-01",)]
    assert worker.query("select distinct as_of from mart_state") == [("2026-04-01",)]


def test_what_is_asked_for_sees_the_ends_of_months_too(worker: Worker) -> None:
    marts = runner(worker, FIRST, MEMBER)
    marts.refresh_due()
    worker.close_day("2026-04-01")
    marts.refresh("first", Request())
    steps = [("first", date(2026, 3, 31)), ("member", date(2026, 3, 31)), ("first", date(2026, 4, 1)), ("member", date(2026, 4, 1))]
    assert marts.plan(["member"], None).steps == tuple(steps)
    assert marts.plan(["member"], date(2026, 4, 1)).steps == (("member", date(2026, 4, 1)),)


# What a refresh is made of


def test_a_function_makes_the_rows(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FUNCTIONS, "first_row", lambda rows, refresh: rows.slice(0, 1) if refresh.as_of.year == 2026 else rows)
    worker.feed(order("o2", "2026-03-05", customer_id="c2"))
    made = simple("made", front='function = "first_row"', select="select customer_id from counted_order order by customer_id")
    runner(worker, made).refresh("made", Request())
    assert worker.rows("made") == [("c1",)]


def test_the_clock_of_a_run_is_told(worker: Worker) -> None:
    worker.now = datetime(2026, 3, 9, 1, 2, 3, tzinfo=UTC)
    runner(worker, FIRST).refresh_due()
    assert worker.query("select started_at from mart_run") == [("2026-03-09 01:02:03",)]
