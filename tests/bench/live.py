"""A worker that is not ended by the end of its topics, in a process of its own, which tells of each commit as it happens.

`python -m tests.bench.live` reads settings as JSON from standard input and writes a line of JSON to standard output once the log is taken
up, and one after each commit. The monotonic clock is the same for all processes of a machine.
"""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import psutil

from tests.support.java import ROOT
from worker.committer import StepResult
from worker.config import Settings
from worker.events import EventBatch, Partition
from worker.log import configure
from worker.run import Observer
from worker.service import run_worker
from worker.signals import Stop, signals_handled

_WAIT = 300.0  # seconds
_POLL = 0.01


@dataclass(frozen=True, slots=True)
class Commit:
    """At which second of the monotonic clock what was visible. `position`: first offsets that it does not hold, of what it moved."""

    at: float
    messages: int
    position: Mapping[Partition, int]


class LiveWorker:
    """The process, started now: at second `started` of the monotonic clock. `position`: what was committed before."""

    def __init__(self, settings: Mapping[str, Any], position: Mapping[Partition, int] | None = None) -> None:
        self.started = time.monotonic()
        self.reading_at: float | None = None  # when it first took up the log
        self.commits: list[Commit] = []
        self._before = dict(position or {})
        command = [sys.executable, "-m", "tests.bench.live"]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
        assert self._process.stdin is not None
        json.dump(settings, self._process.stdin)
        self._process.stdin.close()
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def wait(self, condition: Callable[["LiveWorker"], bool]) -> None:
        """Until it holds. Exits where the worker ends before, or it takes too long."""
        deadline = time.monotonic() + _WAIT
        while not condition(self):
            if self._process.poll() is not None:
                raise SystemExit(f"the worker ended with exit code {self._process.returncode}")
            if time.monotonic() > deadline:
                self.kill()
                raise SystemExit(f"what was waited for did not come within {_WAIT:.0f} s")
            time.sleep(_POLL)

    def wait_until_reading(self) -> None:
        self.wait(lambda worker: worker.reading_at is not None)

    def wait_for(self, ends: Mapping[Partition, int]) -> None:
        """Until all before these offsets is committed."""
        self.wait(lambda worker: all(worker.position.get(partition, 0) >= end for partition, end in ends.items()))

    @property
    def position(self) -> dict[Partition, int]:
        """First offsets that are not committed, of the partitions that have ever been moved."""
        moved = dict(self._before)
        for commit in list(self.commits):
            moved.update(commit.position)
        return moved

    @property
    def first_commit(self) -> Commit | None:
        """The first one with messages in it."""
        return next((commit for commit in list(self.commits) if commit.messages), None)

    def cpu_seconds(self) -> float:
        """So far."""
        times = psutil.Process(self._process.pid).cpu_times()
        return float(times.user + times.system)

    def stop(self) -> None:
        """Ask it to end, and wait. Exits where it fails."""
        self._process.terminate()
        if code := self._process.wait(_WAIT):
            raise SystemExit(f"the worker ended with exit code {code}")
        self._listener.join()

    def kill(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait()
        self._listener.join()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                told = json.loads(line)
                if "messages" in told:
                    moved = {Partition(topic, number): offset for topic, number, offset in told["position"]}
                    self.commits.append(Commit(told["at"], told["messages"], moved))
                else:
                    self.reading_at = self.reading_at or told["at"]


class _Teller(Observer):
    def reading(self) -> None:
        _tell({})

    def committed(self, batch: EventBatch, result: StepResult, seconds: float) -> None:
        if not result.is_empty:
            position = [(*partition, after.offset) for partition, after in batch.messages.position.items()]
            _tell({"messages": len(batch.messages), "position": position})


def _tell(what: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps({"at": time.monotonic(), **what}) + "\n")
    sys.stdout.flush()


def main() -> None:
    settings, stop = Settings(**json.load(sys.stdin)), Stop()
    configure(settings.log)
    with signals_handled(stop):
        run_worker(settings, stop, observers=[_Teller()])


if __name__ == "__main__":
    main()
