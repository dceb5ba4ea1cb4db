"""Compact: closed days are written anew in the order of days, a unit a commit, and space is given back between them."""

from datetime import datetime
from typing import Literal

import structlog

from worker.committer import Committer
from worker.events import Origin
from worker.store.compaction import Unit
from worker.store.jobs import JobRow, Progress

log = structlog.get_logger()


class CompactJob:
    """A job (jobs.job.Job). Where it was interrupted does not matter: a plan says what is left to do."""

    def __init__(self, row: JobRow, committer: Committer) -> None:
        self._row = row
        self._committer = committer
        self._units: list[Unit] = []
        self._done = row.done
        self._is_over = False

    def read(self, now: datetime) -> Literal["go on"] | None:  # noqa: ARG002 - a job's method
        """Nothing is read: all that there is to do is done in `commit`."""
        return None if self._is_over else "go on"

    def commit(self, piece: Literal["go on"], now: datetime) -> None:  # noqa: ARG002 - a job's method
        """One unit; where there is none left, a look at what is to be done still."""
        store = self._committer.store
        if not self._units:
            self._units = store.plan_compaction(self._committer.state.watermark.closed_before)
            self._is_over = not self._units
        if self._is_over:
            store.give_back()
            return
        unit = self._units.pop(0)
        with self._committer.transaction(now, Origin.LIVE) as tx:
            rows = tx.rewrite(unit)
            tx.save_progress(Progress(self._row.id, self._done + 1, self._done + 1 + len(self._units), {}, now))
        self._done += 1
        store.give_back()
        log.debug("unit_rewritten", table=unit.table, first=unit.first, last=unit.last, rows=rows)

    def close(self) -> None:
        """There is nothing to let go of."""
