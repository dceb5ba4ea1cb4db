"""tidemark compare-approaches: three well-known ways of daily aggregation beside the worker's own."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import Progress

from worker import log
from worker.approaches import picture
from worker.approaches.compare import Comparison, Outcome, Setup, compare
from worker.commands import AsJson, approaches_view, print_json_lines
from worker.commands.approaches_view import dollars_a_night
from worker.commands.formats import screen
from worker.config import Log

_USUAL = Setup()
_MESSAGES_A_VISITOR = 13


def compare_approaches(
    days: Annotated[int, typer.Option(min=7, max=730, help="Nights, one a day.")] = _USUAL.days,
    seed: Annotated[int, typer.Option(min=0, help="Of the shop: the same seed makes the same messages.")] = _USUAL.seed,
    visitors: Annotated[
        int, typer.Option(min=100, help=f"The size of the shop: some {_MESSAGES_A_VISITOR} messages for each, over all nights.")
    ] = _USUAL.visitors,
    late_share: Annotated[float, typer.Option(min=0, max=1, help="Share of events that come a day to a month late.")] = _USUAL.late_share,
    window: Annotated[int, typer.Option(min=1, help="Days of the sliding window.")] = _USUAL.window_days,
    price_per_tb: Annotated[float, typer.Option(min=0, help="Dollars for 10^12 bytes read.")] = 6.25,
    output: Annotated[Path | None, typer.Option(help=f"Draw it, too: a file that ends in {', '.join(picture.KINDS)}.")] = None,
    as_json: AsJson = False,
) -> None:
    """Aggregate the same late data by full batch, by staging, by a sliding window and by the worker: bytes read, dollars, wrong days.

    Needs no configuration and no broker. Exit code 5 if approaches that must agree do not.
    """
    log.configure(Log(level="error"))
    if output is not None:
        picture.check(output)
    comparison = _compared(Setup(days, seed, visitors, late_share, window))
    if as_json:
        print_json_lines(_plain(comparison, outcome, price_per_tb) for outcome in comparison.outcomes)
    else:
        approaches_view.show(screen(), comparison, price_per_tb)
    if output is not None:
        picture.draw(comparison, output)


def _compared(setup: Setup) -> Comparison:
    """With a progress bar on a terminal, beside the output."""
    console = Console(stderr=True)
    with TemporaryDirectory() as directory, Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("nights", total=setup.days)
        return compare(setup, Path(directory), lambda done: progress.update(task, completed=done))


def _plain(comparison: Comparison, outcome: Outcome, price_per_tb: float) -> dict[str, Any]:
    tables = sorted(outcome.reads.rows)
    return {
        "approach": outcome.approach,
        "engine": outcome.engine,
        "counted": outcome.counted,
        "rows": outcome.rows,
        "bytes": outcome.bytes,
        "reads": {name: {"rows": outcome.reads.rows[name], "bytes": outcome.reads.bytes[name]} for name in tables},
        "bytes_last_week": round(outcome.recent_bytes),
        "times_less_than_full_batch": round(comparison.ratio(outcome), 3),
        "dollars_a_day": dollars_a_night(outcome, price_per_tb),
        "cpu_seconds": round(outcome.cpu_seconds, 3),
        "wall_seconds": round(outcome.wall_seconds, 3),
        "nights": [{"day": night.day.isoformat(), "rows": night.rows, "bytes": night.bytes} for night in outcome.nights],
        "wrong_days": [
            {"day": day.day.isoformat(), "orders": day.orders, "net_cents": dict(day.net_cents), "touchpoints": day.touchpoints}
            for day in outcome.wrong_days
        ],
    }
