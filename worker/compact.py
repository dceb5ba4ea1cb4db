"""Compact: closed days are written anew in the order of days, a unit a commit, and space is given back between them."""

from collections.abc import Callable
from datetime import datetime
from typing import Literal

import structlog

from worker.committer import Committer
from worker.events import Origin
from worker.store.compaction import ROUNDS, Unit
from worker.store.jobs import JobRow, Progress

log = structlog.get_logger()

_PAUSE = 1.0  # seconds between two attempts to give space back, where somebody reads


class CompactJob:
    """A job (jobs.job.Job). Where it was interrupted does not matter: a plan says what is left to do."""

    def __init__(self, row: JobRow, committer: Committer, wait: Callable[[float], object]) -> None:
        """`wait` for so many seconds, or until nobody wants the job any more."""
        self._row = row
        self._committer = committer
        self._wait = wait
        self._units: list[Unit] = []
        self._rounds = 0
        self._done = row.done
        self._is_given_back = True
        self._is_over = False

    def read(self, now: datetime) -> Literal["go on"] | None:  # noqa: ARG002 - a job's method
        """Nothing is read: all that there is to do is done in `commit`. While somebody reads the file, it is waited for."""
        if not self._is_given_back:
            self._wait(_PAUSE)
        return None if self._is_over else "go on"

    def commit(self, piece: Literal["go on"], now: datetime) -> None:  # noqa: ARG002 - a job's method
        """One thing at a time: free what the last unit left, look what is to be done still, or write a unit anew."""
        store = self._committer.store
        if not self._is_given_back:
            # While somebody reads what was, nothing is freed: another unit would only make the file grow.
            self._is_given_back = store.give_back()
        elif self._units:
            self._rewrite(self._units.pop(0), now)
        elif not self._is_over:
            self._rounds += 1
            self._units = store.plan_compaction(self._committer.state.watermark.closed_before) if self._rounds <= ROUNDS else []
            self._is_over = not self._units

    def close(self) -> None:
        """There is nothing to let go of."""

    def _rewrite(self, unit: Unit, now: datetime) -> None:
        with self._committer.transaction(now, Origin.LIVE) as tx:
            rows = tx.rewrite(unit)
            tx.save_progress(Progress(self._row.id, self._done + 1, self._done + 1 + len(self._units), {}, now))
        self._done += 1
        self._is_given_back = False
        log.debug("unit_rewritten", table=unit.table, first=unit.first, last=unit.last, rows=rows)
