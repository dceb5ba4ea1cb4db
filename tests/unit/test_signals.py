"""SIGTERM and Ctrl-C in this process: what is broken off, and what is not."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import duckdb
import pytest

from tests.support.endless import run_endless
from worker.signals import Interrupted, Stop, ended_by_signals, signals_handled
from worker.store.connections import registered

pytestmark = pytest.mark.usefixtures("signals_as_they_were")

BOTH = pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])


@pytest.fixture
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    """Of two threads: what a signal raises ends the call of one alone."""
    with duckdb.connect(config={"threads": 2}) as connection:
        yield registered(connection)


@BOTH
def test_a_signal_ends_a_command_once_what_is_half_done_is_cleared_away(number: signal.Signals) -> None:
    cleared_away = []

    def work() -> None:
        try:
            signal.raise_signal(number)
        finally:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGTERM)
            cleared_away.append(True)

    with pytest.raises(Interrupted, match=f"stopped by {number.name}"), ended_by_signals():
        work()
    assert cleared_away


@BOTH
def test_a_signal_that_is_ignored_from_the_start_stays_so(number: signal.Signals) -> None:
    signal.signal(number, signal.SIG_IGN)
    stop = Stop()
    with ended_by_signals(), signals_handled(stop):
        signal.raise_signal(number)
    assert not stop.event.is_set()


@pytest.mark.parametrize("code", [None, 0])
def test_a_command_that_a_signal_ends_well_has_ended_well(code: int | None) -> None:
    with pytest.raises(SystemExit) as ended, ended_by_signals():
        sys.exit(code if signalled() else 1)
    assert ended.value.code == code


def signalled() -> bool:
    with suppress(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)
    return True


def test_the_signals_are_then_handled_as_before() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with ended_by_signals(), signals_handled(Stop()):
        pass
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_a_signal_ends_a_command_in_the_middle_of_a_query(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(Interrupted), ended_by_signals():
        signalled_query(connection)


def test_a_second_signal_ends_the_drain_in_the_middle_of_a_query(connection: duckdb.DuckDBPyConnection) -> None:
    stop = Stop()
    stop.ask()
    with pytest.raises(Interrupted, match="second signal"), signals_handled(stop):
        signalled_query(connection)
    assert stop.is_urgent


def signalled_query(connection: duckdb.DuckDBPyConnection) -> None:
    """The signal comes once it has begun to read."""
    begun = threading.Event()

    def send() -> None:
        assert begun.wait(60)
        os.kill(os.getpid(), signal.SIGTERM)

    with ThreadPoolExecutor() as threads:
        threads.submit(send)
        run_endless(connection, begun)


def test_a_second_signal_leaves_to_others_how_they_end(connection: duckdb.DuckDBPyConnection) -> None:
    def other() -> tuple[int] | None:
        cursor = registered(connection.cursor())
        opened.set()
        assert signalled.wait(60)
        return cursor.execute("select count(*) from range(20000) a, range(20000) b").fetchone()

    opened, signalled, stop = threading.Event(), threading.Event(), Stop()
    stop.ask()
    with ThreadPoolExecutor() as threads:
        answer = threads.submit(other)
        assert opened.wait(60)
        with pytest.raises(Interrupted), signals_handled(stop):
            wait_for_the_answer(answer, signalled)
        assert answer.result() == (400_000_000,)


def wait_for_the_answer(answer: Future[Any], signalled: threading.Event) -> None:
    try:
        signal.raise_signal(signal.SIGTERM)
    finally:
        signalled.set()
        answer.exception()


def test_a_second_signal_that_something_swallows_still_ends_the_drain() -> None:
    def work() -> None:
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(Interrupted):
            signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)  # a third one finds it ending

    with pytest.raises(Interrupted, match="second signal"), signals_handled(Stop()):
        work()


def test_a_signal_once_the_drain_is_over_does_not_break_off_the_closing() -> None:
    stop = Stop()
    with signals_handled(stop):
        signal.raise_signal(signal.SIGTERM)
        stop.over()
        signal.raise_signal(signal.SIGTERM)
    assert not stop.is_urgent


def test_a_signal_that_comes_after_the_end_does_not_change_the_exit_code() -> None:
    with ended_by_signals(), signals_handled(Stop()):
        signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGINT)


def test_who_ends_by_himself_is_asked_by_one_signal_as_by_any_first() -> None:
    stop = Stop()
    with signals_handled(stop):
        stop.event.set()  # all was read, with --exit-at-end
        signal.raise_signal(signal.SIGTERM)
    assert not stop.is_urgent
