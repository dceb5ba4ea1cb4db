"""How long something took, with what does not belong to it left out."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(slots=True)
class Stopwatch:
    """Seconds of this process: CPU over all threads, and wall."""

    cpu: float = 0.0
    wall: float = 0.0

    def reset(self) -> None:
        self.cpu = self.wall = 0.0

    @contextmanager
    def running(self) -> Iterator[None]:
        """Add what the block takes."""
        with self._measured(1):
            yield

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Within `running`: leave out what the block takes."""
        with self._measured(-1):
            yield

    @contextmanager
    def _measured(self, sign: int) -> Iterator[None]:
        cpu, wall = time.process_time(), time.perf_counter()
        try:
            yield
        finally:
            self.cpu += sign * (time.process_time() - cpu)
            self.wall += sign * (time.perf_counter() - wall)
