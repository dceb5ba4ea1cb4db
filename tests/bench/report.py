"""What was measured: a table of stages for people, JSON with versions and machine for the record."""

import os
import platform
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, TypeAlias

import confluent_kafka
import psutil
from rich.console import Console
from rich.table import Table

from tests.bench.data import Shape
from tests.bench.engine import Measured, Spent
from worker import __version__

MIB = 2**20

# Which stage an SQL file belongs to, by the first of these that its name begins with.
_STAGE_OF = {
    "batch/touchpoint_duplicates": "deduplicate touchpoints",
    "batch/stored_order": "classify orders",
    "batch/order_version": "classify orders",
    "batch/version_outcome": "classify orders",
    "batch/outcome_counts": "classify orders",
    "batch/batch_order": "classify orders",
    "batch/order": "order changes",
    "daily/touchpoint": "insert rows",
    "daily/order_current": "insert rows",
    "daily/day_": "days and ledger",
    "daily/ledger": "days and ledger",
    "daily/": "merge",
    "refill": "fill days anew",
    "batch/": "days and ledger",
    "state/": "save position and books",
}

Row: TypeAlias = tuple[str, Spent]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one scenario. `load`: the machine's load average before it; `others_cpu`: CPU seconds of the machine's other processes,
    the broker among them, while it ran."""

    scenario: str
    measured: Measured
    load: float
    others_cpu: float
    file_bytes: int

    @property
    def rate(self) -> float:
        """Messages a second, from the first poll to the last commit."""
        return self.measured.messages / self.measured.wall


def stages(measured: Measured) -> list[tuple[Row, list[Row]]]:
    """Each stage with its SQL files, in the order of the way; seconds. The stages from "membership" on share one thread."""
    took = {name: Spent(*spent) for name, spent in measured.stages.items()}
    files: dict[str, list[Row]] = {}
    for name, spent in sorted(measured.sql.items(), key=lambda item: -item[1][1]):
        files.setdefault(_stage_of(name), []).append((name, Spent(*spent)))
    parts: list[tuple[Row, list[Row]]] = [
        (("membership", _total(spent for name, spent in took.items() if name.startswith("membership"))), []),
        *(
            ((stage, _total(spent for _, spent in files[stage])), files[stage])
            for stage in dict.fromkeys(_STAGE_OF.values())
            if stage in files
        ),
        (("commit", took["commit"]), []),
        (("confirm", took["confirm"]), []),
    ]
    rest = took["step"] - _total(spent for (_, spent), _ in parts)
    return [
        (("consume", took["consume"]), []),
        (("decode", took["decode"]), []),
        *parts,
        (("rest of the step", rest), []),
        (("metrics and log", took["telemetry"]), []),
    ]


def show(console: Console, runs: Sequence[Run]) -> None:
    """The stage table of the median run, and one line for each run."""
    run = sorted(runs, key=lambda run: run.rate)[len(runs) // 2]
    measured = run.measured
    table = Table(title=f"{run.scenario}: {measured.messages:,} messages in {len(measured.batches)} commits", title_justify="left")
    for heading in ("stage", "CPU µs/message", "wall µs/message", "ms/commit"):
        table.add_column(heading, justify="left" if heading == "stage" else "right")
    for (stage, spent), files in stages(measured):
        table.add_row(stage, *_cells(spent, measured), style="bold")
        for name, seconds in files if len(files) > 1 else []:
            table.add_row(f"  {name}", *_cells(seconds, measured), style="dim")
    table.add_section()
    for kind, cpu in sorted(measured.threads.items()):
        table.add_row(f"threads: {kind}", f"{cpu / measured.messages * 1e6:.2f}", "", "")
    table.add_row("whole process", *_cells(Spent(measured.wall, measured.cpu), measured), style="bold")
    console.print(table)
    for each in runs:
        console.print(
            f"[bold]{each.rate:,.0f}[/] messages/s, CPU {each.measured.cpu:.1f} s (others {each.others_cpu:.1f} s, load {each.load:.1f}), "
            f"RSS {each.measured.peak_rss / MIB:,.0f} MiB, file {each.file_bytes / MIB:,.0f} MiB, close {each.measured.closing:.1f} s"
        )
    console.print(f"{run.scenario}: median {median(each.rate for each in runs):,.0f} messages/s of {len(runs)} runs; result exact\n")


def as_json(runs: Sequence[Run], shape: Shape, broker: str, settings: Mapping[str, Any], when: datetime) -> dict[str, Any]:
    """All runs, and what they ran on."""
    return {
        "when": when.isoformat(timespec="seconds"),
        "shape": asdict(shape),
        "settings": settings,
        "machine": _machine(),
        "versions": _versions() | {"broker": broker},
        "runs": [
            asdict(run)
            | {
                "messages_per_second": run.rate,
                "stage_seconds": {name: spent._asdict() for (name, spent), _ in stages(run.measured)},
            }
            for run in runs
        ],
    }


def _cells(spent: Spent, measured: Measured) -> tuple[str, str, str]:
    per_message = 1e6 / measured.messages
    return f"{spent.cpu * per_message:.2f}", f"{spent.wall * per_message:.2f}", f"{spent.wall / len(measured.batches) * 1e3:.1f}"


def _stage_of(name: str) -> str:
    return next(stage for prefix, stage in _STAGE_OF.items() if name.startswith(prefix))


def _total(spent: Iterable[Spent]) -> Spent:
    return sum(spent, Spent())


def _machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return {"cpu": model, "cores": os.cpu_count(), "memory_mib": psutil.virtual_memory().total // MIB, "kernel": platform.release()}


def _versions() -> dict[str, str]:
    packages = ("duckdb", "pyarrow", "numpy", "confluent-kafka")
    return {
        "tidemark": __version__,
        "python": platform.python_version(),
        "librdkafka": confluent_kafka.libversion()[0],
        **{package: version(package) for package in packages},
    }
