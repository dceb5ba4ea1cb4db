"""Commands in processes of their own: how long they take, how much memory at most."""

import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from tests.support.java import ROOT

_POLL = 0.02  # seconds


@dataclass(frozen=True, slots=True)
class Ended:
    """Seconds, of the wall's clock and of CPU; bytes of RSS at most; what was written to standard output."""

    wall: float
    cpu: float
    peak_rss: int
    output: str

    def figures(self) -> dict[str, float]:
        return {"wall_seconds": self.wall, "cpu_seconds": self.cpu, "peak_rss_bytes": self.peak_rss}


def tidemark(settings: Mapping[str, Any], *arguments: str) -> Ended:
    """Run a command of the worker's to its end. Exits where it fails."""
    assignments = [part for key, value in _flat(settings) for part in ("--set", f"{key}={value}")]
    return timed([sys.executable, "-c", "from worker.cli import main; main()", *assignments, *arguments])


def timed(command: Sequence[str]) -> Ended:
    """Run a command to its end. Exits where it fails."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    began, peak = time.perf_counter(), 0
    with TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, cwd=ROOT)
        while process.poll() is None:
            peak = max(peak, peak_rss(process.pid))
            time.sleep(_POLL)
        wall = time.perf_counter() - began
        output.seek(0)
        text = output.read()
    if process.returncode:
        raise SystemExit(f"{' '.join(command)} ended with exit code {process.returncode}:\n{text}")
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return Ended(wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, peak, text)


def peak_rss(pid: int) -> int:
    """Bytes; 0 where it has just ended. Not of getrusage, whose figure for a new process begins with that of its parent."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    _, found, rest = status.partition("VmHWM:")
    return int(rest.split()[0]) * 1024 if found else 0


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Settings as `--set` takes them."""
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value).lower() if isinstance(value, bool) else str(value)
