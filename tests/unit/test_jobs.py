"""Jobs in the main loop: what ends them, what only ends the worker, and errands that nobody waits for any more."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.endless import run_endless
from tests.support.worker import Worker, touch
from worker.errors import ConfigError, OutOfMemory, StoreError, Unavailable
from worker.events import Origin
from worker.jobs.feed import Portion
from worker.jobs.inbox import Inbox, Lane
from worker.jobs.job import MergeJob, resume_point
from worker.jobs.runner import JobRunner
from worker.run import Observer, run_job
from worker.signals import Interrupted, Stop
from worker.store.jobs import JobState

DAY = "2026-03-05"


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(tmp_path)
    yield worker
    worker.close()


class Commits:
    """A job of one piece."""

    def __init__(self, commit: Callable[[], None]) -> None:
        self._commit = commit

    def read(self, now: datetime) -> str:
        return f"a piece, at {now}"

    def commit(self, piece: str, now: datetime) -> None:
        self._commit()

    def close(self) -> None:
        pass


class NothingToRead:
    """A feed at its end."""

    total = 0

    def next(self, now: datetime) -> Portion | None:
        return None

    def close(self) -> None:
        pass


def ended(worker: Worker, commit: Callable[[], None]) -> JobState:
    """The state of a job after its main loop, whose commit does that."""
    inbox, stop = Inbox(), Stop()
    jobs = JobRunner(worker.store, lambda *_: Commits(commit), lambda: worker.now, inbox)
    job_id = jobs.add("test", {}, "a test")
    with suppress(StoreError), closing(jobs):
        run_job(job_id, observer=Observer(), stop=stop, inbox=inbox, jobs=jobs)
    return jobs.job(job_id).state


@pytest.mark.parametrize("error", [None, RuntimeError("Query interrupted")], ids=["between statements", "in a statement"])
def test_a_job_that_a_second_signal_meets_in_a_commit_goes_on_later(worker: Worker, error: Exception | None) -> None:
    stop = Stop()
    stop.ask()

    def commit() -> None:
        try:
            stop.ask()
        except Interrupted as interrupted:
            raise error or interrupted from None  # DuckDB makes an error of its own of it

    inbox = Inbox()
    jobs = JobRunner(worker.store, lambda *_: Commits(commit), lambda: worker.now, inbox, lambda: stop.is_urgent)
    job_id = jobs.add("test", {}, "a test")
    jobs.start_next()
    with pytest.raises((Interrupted, RuntimeError)):
        jobs.handle(*take_job(inbox))
    jobs.close()
    assert jobs.job(job_id).state is JobState.RUNNING


def take_job(inbox: Inbox) -> Any:
    taken = inbox.take(5.0)
    assert taken is not None
    assert taken[0] is Lane.JOB
    return taken[1]


def raising(error: Exception) -> Callable[[], None]:
    def commit() -> None:
        raise error

    return commit


def test_a_job_that_needs_too_much_memory_fails_instead_of_ending_the_worker_at_each_start(worker: Worker) -> None:
    assert ended(worker, raising(OutOfMemory("too much"))) is JobState.FAILED


def test_a_job_that_has_failed_lets_go_of_what_it_reads_before_the_worker_closes_the_file(worker: Worker) -> None:
    """Else Python finds the file open at its very end, and DuckDB's library complains of it on standard error."""
    assert ended(worker, raising(ConfigError("no"))) is JobState.FAILED
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("job-")] == []


def test_a_job_is_not_blamed_for_the_disk(worker: Worker) -> None:
    assert ended(worker, raising(StoreError("no space left"))) is JobState.RUNNING


def test_an_errand_that_was_given_up_is_never_done() -> None:
    inbox, done = Inbox(), threading.Event()
    with pytest.raises(Unavailable):
        inbox.ask(done.set, seconds=0.01)
    taken = inbox.take(1.0)
    assert taken is not None
    taken[1]()
    assert not done.is_set()


def test_an_errand_that_was_begun_in_time_is_waited_for() -> None:
    inbox, answers = Inbox(), []
    begun, asked = threading.Event(), threading.Event()

    def slow() -> str:
        begun.set()
        asked.wait(0.3)
        return "done"

    asking = threading.Thread(target=lambda: answers.append(inbox.ask(slow, seconds=0.1)))
    asking.start()
    taken = inbox.take(5.0)
    assert taken is not None
    taken[1]()
    asking.join(5.0)
    assert begun.is_set()
    assert answers == ["done"]


def test_who_waits_for_an_errand_when_the_main_loop_ends_is_told_so() -> None:
    inbox, done = Inbox(), threading.Event()
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(inbox.ask, done.set)
        inbox.close()
        for asked in (waiting, threads.submit(inbox.ask, done.set)):
            with pytest.raises(Unavailable, match="the worker stops"):
                asked.result()
    assert not done.is_set()


def test_what_a_job_reads_is_interrupted_before_the_worker_closes_the_file(worker: Worker) -> None:
    begun = threading.Event()

    class Reads(Commits):
        def read(self, now: datetime) -> str:
            with closing(worker.store.cursor()) as cursor:
                run_endless(cursor, begun)
            return f"never, from {now} on"

    jobs = JobRunner(worker.store, lambda *_: Reads(raising(AssertionError())), lambda: worker.now, Inbox())
    job_id = jobs.add("test", {}, "a test")
    jobs.start_next()
    assert begun.wait(60)
    jobs.close()
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("job-")] == []
    assert jobs.job(job_id).state is JobState.RUNNING


def test_a_stream_that_began_to_be_read_meanwhile_keeps_its_watermark(worker: Worker) -> None:
    job_id = worker.store.add_job("backfill", {}, "a test", worker.now)
    (row,) = [row for row in worker.store.jobs() if row.id == job_id]
    committer = worker.pipeline.committer
    job = MergeJob(row, NothingToRead(), committer, worker.settings, lambda *_: None, advance_watermark=True)
    piece = job.read(worker.now)
    assert piece is not None
    worker.feed(touch("c1", DAY), close=DAY)
    before = worker.pipeline.state.watermark
    with pytest.raises(ConfigError, match="live position"):
        job.commit(piece, worker.now)
    assert worker.store.state().watermark == before
    worker.feed(touch("c1", DAY), origin=Origin.LIVE)
    assert not worker.differences()


def test_the_watermark_follows_the_files_where_no_stream_is_read(worker: Worker) -> None:
    newest = int(datetime(2026, 3, 9, tzinfo=UTC).timestamp() * 1_000_000)
    job_id = worker.store.add_job("backfill", {}, "a test", worker.now)
    (row,) = [replace(row, resume_point=resume_point({}, {"orders": newest})) for row in worker.store.jobs() if row.id == job_id]
    job = MergeJob(row, NothingToRead(), worker.pipeline.committer, worker.settings, lambda *_: None, advance_watermark=True)
    while (piece := job.read(worker.now)) is not None:
        job.commit(piece, worker.now)
    assert worker.store.state().watermark.closed_before == date(2026, 3, 7)
