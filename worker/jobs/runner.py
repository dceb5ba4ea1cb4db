"""Runs jobs, one after another, beside the live stream or without one. What has not ended goes on when a worker starts."""

import threading
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias

import structlog

from worker.errors import ConfigError, OutOfMemory, StoreError, TidemarkError, Unavailable
from worker.jobs.inbox import Inbox, Lane
from worker.jobs.job import Job
from worker.patience import Patience
from worker.store import Store
from worker.store.connections import INTERRUPT_SECONDS, interrupt_all
from worker.store.jobs import JobRow, JobState

log = structlog.get_logger()

_PATIENCE = 5.0  # seconds: a job's thread may be waiting for a broker or a registry

# A job put together from its row; called in the job's thread. Raises Unavailable (called again), Fatal.
Maker: TypeAlias = Callable[[JobRow, threading.Event], Job]


@dataclass(frozen=True, slots=True)
class _Piece:
    job: Job
    piece: Any


@dataclass(frozen=True, slots=True)
class _End:
    error: Exception | None


class JobRunner:
    """All methods but `submit` and `cancel` belong to the main loop; those are for other threads, and reach it through the inbox."""

    def __init__(
        self, store: Store, make: Maker, now: Callable[[], datetime], inbox: Inbox, is_aborted: Callable[[], bool] = lambda: False
    ) -> None:
        """`is_aborted`: the worker is ending at once, whatever is raised meanwhile is no job's fault."""
        self._store = store
        self._make = make
        self._now = now
        self._inbox = inbox
        self._is_aborted = is_aborted
        self._thread: _JobThread | None = None
        self._abandoned: list[_JobThread] = []  # they end by themselves, and may take their time
        self._waiting = [row for row in store.jobs() if row.is_unfinished]

    @property
    def is_idle(self) -> bool:
        """No job runs or waits."""
        return self._thread is None and not self._waiting

    def job(self, job_id: int) -> JobRow:
        """One job as it stands. Raises ConfigError where there is none of that id."""
        for row in self._store.jobs():
            if row.id == job_id:
                return row
        raise ConfigError(f"there is no job {job_id}", "tidemark jobs list names them.")

    def start_next(self) -> None:
        """Begin, or take up, the job that has waited longest, if none runs."""
        if self._thread is None and self._waiting:
            row = self._waiting.pop(0)
            self._store.set_job_state(row.id, JobState.RUNNING, self._now())
            log.info("job_started", job=row.id, kind=row.kind, done=row.done)
            self._thread = _JobThread(row, self._make, self._now, self._inbox)
            self._thread.start()

    def handle(self, sender: "_JobThread", item: _Piece | _End | str) -> None:
        """What came from a job's thread. Raises StoreError, and anything once the worker is aborted: then it must end."""
        if sender is not self._thread:
            return  # cancelled meanwhile
        if isinstance(item, _End):
            self._end(item.error)
        elif isinstance(item, str):
            self._store.set_job_state(sender.row.id, JobState.RUNNING, self._now(), item)
        else:
            self._commit(item)

    def add(self, kind: str, arguments: Mapping[str, Any], requested_by: str) -> int:
        """A new job; it begins when those before it have ended. Returns its id."""
        job_id = self._store.add_job(kind, arguments, requested_by, self._now())
        self._waiting.append(self.job(job_id))
        log.info("job_added", job=job_id, kind=kind, requested_by=requested_by)
        return job_id

    def cancel_now(self, job_id: int) -> None:
        """End a job where it is: what it has committed stays. Raises ConfigError where it has ended already."""
        row = self.job(job_id)
        if not row.is_unfinished:
            raise ConfigError(f"job {job_id} has ended: it is {row.state}")
        if self._thread is not None and self._thread.row.id == job_id:
            self._abandon(self._thread)
        self._waiting = [waiting for waiting in self._waiting if waiting.id != job_id]
        self._store.set_job_state(job_id, JobState.CANCELLED, self._now(), "cancelled by hand; what it had committed stays")
        log.info("job_cancelled", job=job_id)

    def submit(self, kind: str, arguments: Mapping[str, Any], requested_by: str) -> int:
        """`add`, from another thread."""
        return self._inbox.ask(lambda: self.add(kind, arguments, requested_by))

    def cancel(self, job_id: int) -> None:
        """`cancel_now`, from another thread."""
        self._inbox.ask(lambda: self.cancel_now(job_id))

    def close(self) -> None:
        """The worker ends; a job that runs goes on at the next start. What jobs have read with is let go of before the file is closed.

        Nobody else must be reading any more: whatever goes on in DuckDB is interrupted.
        """
        if self._thread is not None:
            self._abandon(self._thread)
        patience = time.monotonic() + _PATIENCE
        for thread in self._abandoned:
            while thread.is_alive() and time.monotonic() < patience:
                interrupt_all()
                thread.join(INTERRUPT_SECONDS)

    def _abandon(self, thread: "_JobThread") -> None:
        thread.abandon()
        self._abandoned = [*(each for each in self._abandoned if each.is_alive()), thread]
        self._thread = None

    def _commit(self, item: _Piece) -> None:
        try:
            item.job.commit(item.piece, self._now())
        # The transaction was rolled back: what is wrong with a job must not end the live stream. A job that needs more memory than there
        # is would end the worker again at each start.
        except Exception as error:
            if self._is_aborted() or (isinstance(error, StoreError) and not isinstance(error, OutOfMemory)):
                raise
            self._end(error)

    def _end(self, error: Exception | None) -> None:
        assert self._thread is not None
        row = self._thread.row
        self._abandon(self._thread)
        if error is None:
            self._store.set_job_state(row.id, JobState.DONE, self._now())
            log.info("job_done", job=row.id, kind=row.kind)
            return
        if not isinstance(error, TidemarkError):
            log.error("job_broke", job=row.id, kind=row.kind, exc_info=error)
        text = (
            str(error)
            if isinstance(error, TidemarkError)
            else f"{type(error).__name__}: {error}\nThis is a bug; the log has the traceback."
        )
        self._store.set_job_state(row.id, JobState.FAILED, self._now(), text)
        log.warning("job_failed", job=row.id, kind=row.kind, error=text)


class _JobThread(threading.Thread):
    """Reads ahead of the main loop, by one piece."""

    def __init__(self, row: JobRow, make: Maker, now: Callable[[], datetime], inbox: Inbox) -> None:
        super().__init__(name=f"job-{row.id}", daemon=True)
        self.row = row
        self._make = make
        self._now = now
        self._inbox = inbox
        self._abandoned = threading.Event()
        self._is_waiting = False
        self._patience = Patience(self._abandoned, self._wait, self._back)

    def run(self) -> None:
        error: Exception | None = None
        try:
            with closing(self._patience.call(lambda: self._make(self.row, self._abandoned))) as job:
                while not self._abandoned.is_set():
                    piece = self._patience.call(lambda: job.read(self._now()))
                    if piece is None:
                        break
                    self._send(_Piece(job, piece))
        # Whatever it is, the job's row must tell it.
        except Exception as ended_by:
            error = ended_by
        self._send(_End(error))

    def abandon(self) -> None:
        """Nobody takes pieces any more."""
        self._abandoned.set()

    def _send(self, item: _Piece | _End | str) -> None:
        if not self._abandoned.is_set():
            self._inbox.put(Lane.JOB, (self, item), lambda: not self._abandoned.is_set())

    def _wait(self, error: Unavailable, _seconds: float) -> None:
        self._is_waiting = True
        self._send(f"waiting: {error.message}")

    def _back(self) -> None:
        if self._is_waiting:
            self._is_waiting = False
            self._send("")
