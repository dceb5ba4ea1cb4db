"""A dry run: the job is done on a copy of the file, and nothing else is."""

from pathlib import Path

import pytest

from tests.support.worker import Worker, touch
from worker.commands.changes import show_changes
from worker.compact import CompactJob


def test_a_dry_run_does_not_do_the_jobs_that_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker(tmp_path)
    worker.feed(touch("c1", "2026-03-05"))
    worker.store.add_job("compact", {}, "somebody else", worker.now)
    worker.close()
    done: list[int] = []

    class Counted(CompactJob):
        def close(self) -> None:
            done.append(1)

    monkeypatch.setattr("worker.job_kinds.CompactJob", Counted)
    show_changes(worker.settings, "compact", {})
    assert done == [1]
    worker.reopen()
    assert [job.state.value for job in worker.store.jobs()] == ["queued"]
    worker.close()
