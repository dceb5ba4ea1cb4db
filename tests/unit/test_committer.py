"""What a commit does where memory is short."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.support.worker import Worker, order, touch
from worker.errors import OutOfMemory
from worker.store import Transaction

DAY = "2026-03-05"


@contextmanager
def room(is_made: bool) -> Iterator[bool]:
    yield is_made


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(tmp_path)
    worker.feed(touch("c1", DAY))
    yield worker
    worker.close()


def short_of_memory(monkeypatch: pytest.MonkeyPatch, times: int) -> None:
    """The next commits fail when they have merged and not committed yet."""
    save, left = Transaction.save, [None] * times

    def saved(tx: Transaction, *arguments: Any) -> None:
        save(tx, *arguments)
        if left:
            left.pop()
            raise OutOfMemory("out of memory")

    monkeypatch.setattr(Transaction, "save", saved)


def test_a_commit_that_ran_out_of_memory_beside_a_mart_is_made_once_the_mart_has_given_way(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    short_of_memory(monkeypatch, 1)
    worker.pipeline.committer.make_room = lambda: room(True)
    commit_id = worker.pipeline.state.commit_id
    worker.feed(touch("c1", DAY), touch("c2", DAY), order("o1", DAY))
    assert worker.pipeline.state.commit_id == commit_id + 1
    assert worker.accounting("touchpoints") == {"read": 3, "accepted": 3}
    assert not worker.differences()


@pytest.mark.parametrize(("is_made", "times"), [(False, 1), (True, 2)], ids=["no mart runs", "again without one"])
def test_it_ends_the_worker_where_no_mart_is_in_its_way(worker: Worker, monkeypatch: pytest.MonkeyPatch, is_made: bool, times: int) -> None:
    short_of_memory(monkeypatch, times)
    worker.pipeline.committer.make_room = lambda: room(is_made)
    with pytest.raises(OutOfMemory):
        worker.feed(touch("c2", DAY))
    worker.reopen()
    assert worker.accounting("touchpoints") == {"read": 1, "accepted": 1}
    worker.step()
    assert worker.accounting("touchpoints") == {"read": 2, "accepted": 2}
    assert not worker.differences()
