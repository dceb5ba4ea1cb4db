"""What was measured, for the record: JSON with all runs, versions and machine."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import confluent_kafka
import psutil

from tests.bench.report import MIB, Run, stages
from tests.bench.workbench import WORK, Workbench
from worker import __version__


def write(bench: Workbench, scenario: str, runs: Sequence[Run], results: Mapping[str, Any]) -> None:
    """To the options' file, else to one of the scenario's name. `results`: what it found beyond the runs."""
    options = bench.options
    record = {
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "scenario": scenario,
        "shape": asdict(options.shape),
        "settings": options.settings,
        "machine": machine(),
        "versions": versions() | {"broker": bench.broker_version},
        "results": results,
        "runs": [_plain(run) for run in runs],
    }
    out = options.out or WORK / f"{scenario}.json"
    out.write_text(json.dumps(record, indent=1))
    bench.console.print(f"written to {out}")


def _plain(run: Run) -> Mapping[str, Any]:
    seconds = {name: spent._asdict() for (name, spent), _ in stages(run.measured)}
    return asdict(run) | {"messages_per_second": run.rate, "stage_seconds": seconds}


def machine() -> dict[str, Any]:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_mib": psutil.virtual_memory().total // MIB,
        "kernel": platform.release(),
        "malloc": os.environ.get("LD_PRELOAD") or "libc",
    }


def versions() -> dict[str, str]:
    packages = ("duckdb", "pyarrow", "numpy", "confluent-kafka")
    return {
        "tidemark": __version__,
        "python": platform.python_version(),
        "librdkafka": confluent_kafka.libversion()[0],
        **{package: version(package) for package in packages},
    }
