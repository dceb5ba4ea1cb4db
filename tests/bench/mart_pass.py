"""All marts of a file refreshed once, in a process of its own: `python -m tests.bench.mart_pass`.

Reads settings and `is_full` as JSON from standard input, and writes a line of JSON (a Refreshed) to standard output for each mart.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from tests.bench.process import peak_rss
from tests.support.java import ROOT
from worker.config import Settings
from worker.log import configure
from worker.marts.audits import Auditor
from worker.marts.collection import all_marts
from worker.marts.definition import Unit, ordered
from worker.marts.refresh import Refresher, Request
from worker.store import Store

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Refreshed:
    """One mart. Seconds by the wall's clock, and of CPU by all threads; `reason`: why all of it was computed; `peak_rss`: of the process,
    in bytes, up to then. Of its audits the seconds, and how many failed.
    """

    mart: str
    unit: str
    reason: str
    wall: float
    cpu: float
    rows_read: int
    rows_written: int
    audit_wall: float
    audit_cpu: float
    failed_audits: int
    peak_rss: int


def refreshed(settings: Mapping[str, Any], *, is_full: bool) -> list[Refreshed]:
    """Refresh all marts of the settings' file. Exits where one fails."""
    asked = json.dumps({"settings": settings, "is_full": is_full})
    ended = subprocess.run(
        [sys.executable, "-m", "tests.bench.mart_pass"], input=asked, stdout=subprocess.PIPE, text=True, cwd=ROOT, check=False
    )
    if ended.returncode:
        raise SystemExit(f"refreshing ended with exit code {ended.returncode}")
    return [Refreshed(**json.loads(line)) for line in ended.stdout.splitlines()]


def main() -> None:
    asked = json.load(sys.stdin)
    settings = Settings(**asked["settings"])
    configure(settings.log)
    refresher = Refresher(all_marts(settings.marts), settings.marts.parameters(), settings.reporting_currency)
    auditor, request = Auditor(refresher), Request(is_full=asked["is_full"])
    with closing(Store(settings, datetime.now(UTC))) as store:
        for mart in ordered(refresher.marts.values()):
            with closing(store.cursor()) as connection:
                run, wall, cpu = _timed(lambda: refresher.refresh(connection, mart, request, datetime.now(UTC)))  # noqa: B023
            # The worker audits what is for analysts; the rest when asked.
            is_audited = not mart.front.internal and mart.unit is not Unit.VIEW
            with closing(store.cursor()) as connection:
                results, audit_wall, audit_cpu = _timed(lambda: auditor.run(connection, mart.name) if is_audited else [])  # noqa: B023
            done = Refreshed(
                mart.name,
                mart.unit,
                run.reason,
                wall,
                cpu,
                run.rows_read or 0,
                run.rows_written or 0,
                audit_wall,
                audit_cpu,
                sum(result.fails for result in results),
                peak_rss(os.getpid()),
            )
            print(json.dumps(asdict(done)), flush=True)


def _timed(function: Callable[[], _Result]) -> tuple[_Result, float, float]:
    wall, cpu = time.perf_counter(), time.process_time()
    result = function()
    return result, time.perf_counter() - wall, time.process_time() - cpu


if __name__ == "__main__":
    main()
