"""What the main loop takes up next: batches of the live stream, pieces of a job, and errands that other threads have for it."""

import threading
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar

from worker.errors import Stopping, Unavailable

Result = TypeVar("Result")


class Lane(Enum):
    """Whose items; the value is how many may wait."""

    LIVE = 2
    JOB = 1
    ERRAND = 16


class Inbox:
    """Errands come first; live stream and job take turns, so that neither waits for the other for longer than one commit."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lanes: dict[Lane, deque[Any]] = {lane: deque() for lane in Lane}
        self._turn = (Lane.LIVE, Lane.JOB)
        self._closed = threading.Event()

    def close(self) -> None:
        """The main loop has ended: who waits for an errand, or asks for one from here on, is told so."""
        self._closed.set()
        with self._changed:
            errands = list(self._lanes[Lane.ERRAND])
            self._lanes[Lane.ERRAND].clear()
            self._changed.notify_all()
        for errand in errands:
            errand()

    def put(self, lane: Lane, item: Any, is_wanted: Callable[[], bool] = lambda: True) -> None:
        """Wait for room, unless nobody wants the item any more."""
        with self._changed:
            while len(self._lanes[lane]) >= lane.value:
                if not is_wanted():
                    return
                self._changed.wait(0.5)
            self._lanes[lane].append(item)
            self._changed.notify_all()

    def wait_until_taken(self, lane: Lane, is_wanted: Callable[[], bool]) -> None:
        """Until nothing waits in the lane any more, unless nobody wants to know."""
        with self._changed:
            while self._lanes[lane] and is_wanted():
                self._changed.wait(0.5)

    def take(self, seconds: float) -> tuple[Lane, Any] | None:
        """The next item; None where there was none for so long."""
        with self._changed:
            if not self._changed.wait_for(lambda: any(self._lanes.values()), seconds):
                return None
            lane = next(lane for lane in (Lane.ERRAND, *self._turn) if self._lanes[lane])
            if lane is not Lane.ERRAND:
                self._turn = (Lane.JOB, Lane.LIVE) if lane is Lane.LIVE else (Lane.LIVE, Lane.JOB)
            item = self._lanes[lane].popleft()
            self._changed.notify_all()
            return lane, item

    def ask(self, errand: Callable[[], Result], seconds: float = 25.0) -> Result:
        """Have the main loop do it, between two commits; from any other thread. Raises what it raises; Unavailable if it is too busy, or
        ends: then it was not done, and never will be. (A client of the admin socket waits a little longer than that.)
        """
        done = threading.Event()
        taken = threading.Lock()  # by the main loop that begins it, or by who gives it up
        outcome: list[Result] = []
        failure: list[Exception] = []

        def run() -> None:
            if not taken.acquire(blocking=False):
                return
            try:
                if self._closed.is_set():
                    raise Stopping
                outcome.append(errand())
            # Whatever it is, it is for the one who asked.
            except Exception as error:
                failure.append(error)
            done.set()

        self.put(Lane.ERRAND, run, lambda: not self._closed.is_set())
        if self._closed.is_set():
            run()
        if not done.wait(seconds) and taken.acquire(blocking=False):
            raise Unavailable(f"the worker was too busy for {seconds:g} s", "Nothing was done. Try again.")
        done.wait()
        if failure:
            raise failure[0]
        return outcome[0]
