"""Creates files, each in a child that is killed by signal 9 after a moment: python -m tests.support.creation DIRECTORY SEED KILLS.

The children are forked after the imports, so that a moment falls into the creation and not into the start of Python.
"""

import os
import signal
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from random import Random

from worker.config import Settings
from worker.store import Store


def create(path: Path) -> None:
    """The first start of a worker, in a child process that this function never leaves."""
    Store(Settings.model_validate({"store": {"path": path}}), datetime(2026, 3, 5, tzinfo=UTC)).close()
    os._exit(0)


def main(directory: Path, random: Random, kills: int) -> None:
    """Creation takes as long as the first one; each of the others is killed within that time."""
    began = time.monotonic()
    _forked(directory / "whole.duckdb", wait=None)
    whole = time.monotonic() - began
    for number in range(kills):
        _forked(directory / f"{number}.duckdb", wait=random.uniform(0.0, whole))


def _forked(path: Path, wait: float | None) -> None:
    child = os.fork()
    if child == 0:
        create(path)
    if wait is not None:
        time.sleep(wait)
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Random(int(sys.argv[2])), int(sys.argv[3]))
