"""Workers for the tests of tables and days. What such a test leaves behind must also stand up to verify."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.worker import Worker

NewWorker = Callable[..., Worker]


@pytest.fixture
def new_worker(tmp_path: Path) -> Iterator[NewWorker]:
    """Makes workers with settings of the test's own, each with its own file."""
    made: list[Worker] = []

    def make(**settings: Any) -> Worker:
        directory = tmp_path / str(len(made))
        directory.mkdir()
        made.append(Worker(directory, **settings))
        return made[-1]

    yield make
    for worker in made:
        differing = worker.differences()
        worker.close()
        assert not differing


@pytest.fixture
def worker_of_two_partitions(new_worker: NewWorker) -> Worker:
    return new_worker(partitions=2)


@pytest.fixture
def worker(new_worker: NewWorker) -> Worker:
    """In UTC, with US dollars."""
    return new_worker()
