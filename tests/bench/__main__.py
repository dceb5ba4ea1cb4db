"""`make bench`: messages per second of the whole path and of each stage, on a real Kafka; every run's result is checked to the cent."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tests.bench import record, report
from tests.bench.data import Shape
from tests.bench.workbench import Case, Options, Tables, Workbench, workbench

app = typer.Typer(help="Measure the worker on a seeded shop and a real Kafka (TIDEMARK_TEST_KAFKA, Docker, or jars).")
console = Console(width=120)

_SHAPE = Shape()


@app.callback(invoke_without_command=True)
def options(
    context: typer.Context,
    messages: Annotated[int | None, typer.Option(help=f"live ones; default: by scenario, {_SHAPE.messages} where none is named")] = None,
    runs: Annotated[int, typer.Option(help="of each case, in turn; the median counts")] = 1,
    tables: Annotated[list[Tables] | None, typer.Option(help="which are on; may be given again. Default: by scenario")] = None,
    batch: Annotated[int | None, typer.Option(help="batch.max_messages")] = None,
    memory_limit: Annotated[str | None, typer.Option(help="store.memory_limit")] = None,
    checkpoint_threshold: Annotated[str | None, typer.Option(help="store.checkpoint_threshold")] = None,
    threads: Annotated[int | None, typer.Option(help="store.threads")] = None,
    late_share: Annotated[float, typer.Option(help="of sessions and orders, late by up to 20 days")] = _SHAPE.late_share,
    update_share: Annotated[float, typer.Option(help="of orders that get a second version")] = _SHAPE.update_share,
    seed: Annotated[int, typer.Option(help="of the shop")] = _SHAPE.seed,
    out: Annotated[Path | None, typer.Option("--json", help="where the figures go; default: build/bench/SCENARIO.json")] = None,
) -> None:
    """Without a scenario: how fast a log is read to its end, with each choice of tables (the issue on speed has 2745230 messages)."""
    store = {"memory_limit": memory_limit, "checkpoint_threshold": checkpoint_threshold, "threads": threads}
    settings = {
        "store": {name: value for name, value in store.items() if value is not None},
        "batch": {"max_messages": batch} if batch else {},
    }
    shape = Shape(late_share=late_share, update_share=update_share, seed=seed)
    context.obj = Options(shape, messages, runs, tables, settings, out)
    if context.invoked_subcommand is None:
        with workbench(context.obj, console) as bench:
            _behind(bench)


def _behind(bench: Workbench) -> None:
    shape = bench.shape(_SHAPE.messages)
    names, expected = bench.loaded(shape)
    cases = [Case(tables, tables, names, expected, shape.messages) for tables in bench.tables(*Tables)]
    runs = bench.in_turn(cases)
    for case in cases:
        report.show(console, [run for run in runs if run.case == case.name])
    record.write(bench, "bench", runs)


if __name__ == "__main__":
    app()
