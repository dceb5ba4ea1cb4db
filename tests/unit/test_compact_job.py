"""Compact as a job: units and the giving back of space take turns, and where somebody reads the file it waits."""

from datetime import UTC, date, datetime
from typing import Any, cast

from worker.committer import Committer
from worker.compact import CompactJob
from worker.store.compaction import ROUNDS, Unit
from worker.store.jobs import JobRow, JobState

NOW = datetime(2026, 3, 5, tzinfo=UTC)
UNIT = Unit("touchpoint", date(2026, 3, 1), date(2026, 3, 2), 0, 1, 10, 1000)


class Store:
    """Plans `rounds` of two units each; space can be given back at every second attempt."""

    def __init__(self, rounds: int, readers: int = 0) -> None:
        self.did: list[str] = []
        self._rounds = rounds
        self._readers = readers

    def plan_compaction(self, before: date | None) -> list[Unit]:
        self.did.append("plan")
        self._rounds -= 1
        return [UNIT, UNIT] if self._rounds >= 0 else []

    def give_back(self) -> bool:
        self._readers -= 1
        self.did.append("give back" if self._readers < 0 else "in vain")
        return self._readers < 0


class FakeCommitter:
    """A committer whose transactions do nothing but say what was rewritten."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.state = self
        self.watermark = self
        self.closed_before = date(2026, 3, 4)

    def transaction(self, *_: Any) -> "FakeCommitter":
        return self

    def __enter__(self) -> "FakeCommitter":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def rewrite(self, unit: Unit) -> int:
        self.store.did.append("rewrite")
        return unit.rows

    def save_progress(self, progress: Any) -> None:
        self.store.did.append(f"{progress.done} of {progress.total}")


def run(store: Store) -> tuple[list[str], list[float]]:
    waits: list[float] = []
    row = JobRow(1, "compact", {}, JobState.RUNNING, "a test", NOW, NOW, NOW, None, 0, None, None, {}, "")
    job = CompactJob(row, cast(Committer, FakeCommitter(store)), waits.append)
    while (piece := job.read(NOW)) is not None:
        job.commit(piece, NOW)
    return store.did, waits


def test_a_unit_is_written_and_its_space_given_back_before_the_next_one() -> None:
    did, _ = run(Store(rounds=1))
    assert did == ["plan", "rewrite", "1 of 2", "give back", "rewrite", "2 of 2", "give back", "plan"]


def test_while_somebody_reads_the_file_it_waits() -> None:
    did, waits = run(Store(rounds=1, readers=2))
    assert did[:6] == ["plan", "rewrite", "1 of 2", "in vain", "in vain", "give back"]
    assert len(waits) == 4


def test_a_file_that_is_written_on_is_not_compacted_for_ever() -> None:
    did, _ = run(Store(rounds=100))
    assert did.count("plan") == ROUNDS
