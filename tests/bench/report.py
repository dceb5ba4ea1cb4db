"""What was measured, for people: where the time of a message goes, and how that differs from case to case."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import TypeAlias

from rich.console import Console
from rich.table import Table

from tests.bench.engine import Measured, Spent

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
    "batch/": "days and ledger",
    "state/": "save position and books",
}

Row: TypeAlias = tuple[str, Spent]
Ratios: TypeAlias = Mapping[str, Mapping[str, float]]


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one case. `load`: the machine's load average before it; `others_cpu`: CPU seconds of the machine's other processes,
    the broker among them, while it ran."""

    case: str
    tables: str
    measured: Measured
    load: float
    others_cpu: float
    file_bytes: int

    @property
    def rate(self) -> float:
        """Messages a second, from the first poll to the last commit."""
        return self.measured.messages / self.measured.wall

    @property
    def cpu_per_message(self) -> float:
        """Seconds."""
        return self.measured.cpu / self.measured.messages


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


def median_run(runs: Sequence[Run]) -> Run:
    """By rate."""
    return sorted(runs, key=lambda run: run.rate)[len(runs) // 2]


def show(console: Console, runs: Sequence[Run]) -> None:
    """The stage table of the median run, and one line for each run."""
    run = median_run(runs)
    measured = run.measured
    table = Table(title=f"{run.case}: {measured.messages:,} messages in {len(measured.batches)} commits", title_justify="left")
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
    console.print(f"{run.case}: median {median(each.rate for each in runs):,.0f} messages/s of {len(runs)} runs; result exact\n")


def compare(console: Console, title: str, runs: Sequence[Run]) -> Ratios:
    """The stages of several cases side by side, each by its median run. Returns rate, CPU and RSS of each; the first has 1."""
    by_case = {name: [run for run in runs if run.case == name] for name in dict.fromkeys(run.case for run in runs)}
    middle = {name: median_run(some) for name, some in by_case.items()}
    first = next(iter(middle.values()))
    table = Table(title=f"{title}, {first.tables} tables: CPU / wall µs a message", title_justify="left")
    table.add_column("stage")
    for name in middle:
        table.add_column(name, justify="right")
    by_stage = {name: {stage: spent for (stage, spent), _ in stages(run.measured)} for name, run in middle.items()}
    for stage in dict.fromkeys(stage for each in by_stage.values() for stage in each):
        table.add_row(stage, *(_pair(by_stage[name].get(stage, Spent()), run.measured) for name, run in middle.items()))
    table.add_section()
    table.add_row("whole process", *(_pair(Spent(run.measured.wall, run.measured.cpu), run.measured) for run in middle.values()))
    table.add_row("messages", *(f"{run.measured.messages:,}" for run in middle.values()))
    table.add_row("messages a commit", *(f"{run.measured.messages / len(run.measured.batches):,.0f}" for run in middle.values()))
    table.add_row("messages/s, median", *(f"{run.rate:,.0f}" for run in middle.values()), style="bold")
    table.add_row("peak RSS, MiB", *(f"{run.measured.peak_rss / MIB:,.0f}" for run in middle.values()))
    ratios = {
        name: {
            "rate": run.rate / first.rate,
            "cpu": run.cpu_per_message / first.cpu_per_message,
            "rss": run.measured.peak_rss / first.measured.peak_rss,
        }
        for name, run in middle.items()
    }
    for what in ("rate", "cpu", "rss"):
        table.add_row(f"{what}, the first is 1", *(f"{ratios[name][what]:.2f}" for name in middle), style="bold")
    console.print(table)
    return ratios


def _cells(spent: Spent, measured: Measured) -> tuple[str, str, str]:
    per_message = 1e6 / measured.messages
    return f"{spent.cpu * per_message:.2f}", f"{spent.wall * per_message:.2f}", f"{spent.wall / len(measured.batches) * 1e3:.1f}"


def _pair(spent: Spent, measured: Measured) -> str:
    cpu, wall, _ = _cells(spent, measured)
    return f"{cpu} / {wall}"


def _stage_of(name: str) -> str:
    return next(stage for prefix, stage in _STAGE_OF.items() if name.startswith(prefix))


def _total(spent: Iterable[Spent]) -> Spent:
    return sum(spent, Spent())
