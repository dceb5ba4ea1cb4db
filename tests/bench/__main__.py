"""`make bench`: messages per second of the whole path and of each stage, on a real Kafka; every run's result is checked to the cent."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from tests.bench import growth, record, report
from tests.bench.beside_marts import beside_marts
from tests.bench.caught_up import caught_up
from tests.bench.data import Shape
from tests.bench.history import history
from tests.bench.restart import restart
from tests.bench.workbench import Case, Options, Tables, Workbench, workbench

app = typer.Typer(help="Measure the worker on a seeded shop and a real Kafka (TIDEMARK_TEST_KAFKA, Docker, or jars).", add_completion=False)
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
    marts: Annotated[bool, typer.Option(help="marts.enabled: they are refreshed beside the stream")] = False,
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
        "marts": {"enabled": marts},
    }
    shape = Shape(late_share=late_share, update_share=update_share, seed=seed)
    context.obj = Options(shape, messages, runs, tables, settings, out)
    if context.invoked_subcommand is None:
        with workbench(context.obj, console) as bench:
            _behind(bench)


Rows = Annotated[int, typer.Option(help="of history; the issue on speed has 30000000")]
Days = Annotated[int, typer.Option(help="that the history spans")]
Kept = Annotated[Path | None, typer.Option(help="directory where files of history are left for another time; default: nowhere")]


@app.command("history")
def _history(context: typer.Context, rows: Rows = 1_000_000, days: Days = 60, kept: Kept = None) -> None:
    """Live messages into a file with history, made by backfill, and into an empty one."""
    with workbench(context.obj, console) as bench:
        history(bench, rows, days, kept)


@app.command("caught-up")
def _caught_up(
    context: typer.Context,
    rate: Annotated[float, typer.Option(help="messages a second")] = 5_000,
    seconds: Annotated[float, typer.Option(help="for so long")] = 60,
    warm_up: Annotated[float, typer.Option(help="and so long before, not looked at")] = 5,
    idle: Annotated[float, typer.Option(help="seconds in which nothing comes")] = 20,
) -> None:
    """Messages at a steady rate: seconds until they are in the tables; CPU then, and while nothing comes."""
    with workbench(context.obj, console) as bench:
        caught_up(bench, rate, seconds, warm_up, idle)


@app.command("beside-marts")
def _beside_marts(
    context: typer.Context,
    rate: Annotated[float, typer.Option(help="messages a second")] = 50_000,
    seconds: Annotated[float, typer.Option(help="for so long")] = 60,
    warm_up: Annotated[float, typer.Option(help="and so long before, not looked at")] = 5,
    rows: Rows = 1_000_000,
    days: Days = 60,
    kept: Kept = None,
) -> None:
    """Messages at a steady rate into a file with history: seconds until they are in, with no mart refreshed and with all over and over."""
    with workbench(context.obj, console) as bench:
        beside_marts(bench, rate, seconds, warm_up, rows, days, kept)


@app.command("restart")
def _restart(
    context: typer.Context,
    rows: Rows = 1_000_000,
    days: Days = 60,
    kept: Kept = None,
    wal: Annotated[float, typer.Option(help="MiB of write-ahead log before a kill, if the live messages last")] = 100,
    waiting: Annotated[int, typer.Option(min=1, help="messages that come while the worker is away")] = 10_000,
) -> None:
    """A file with history: start to first commit after a stop and after a kill; seconds of verify; bytes a row."""
    with workbench(context.obj, console) as bench:
        restart(bench, rows, days, kept, wal, waiting)


@app.command("late")
def _late(context: typer.Context, share: Annotated[float, typer.Option(help="of sessions and orders")] = 0.05) -> None:
    """Events late by up to 20 days, and the same events in order."""
    with workbench(context.obj, console) as bench:
        growth.late(bench, share)


@app.command("updates")
def _updates(context: typer.Context) -> None:
    """Updates of orders, and as many new orders."""
    with workbench(context.obj, console) as bench:
        growth.updates(bench)


@app.command("batches")
def _batches(
    context: typer.Context,
    size: Annotated[list[int] | None, typer.Option(help="messages in a commit at most; may be given again")] = None,
) -> None:
    """Commits of several sizes."""
    with workbench(context.obj, console) as bench:
        growth.batches(bench, size or [5_000, 20_000, 50_000, 100_000, 200_000])


@app.command("skew")
def _skew(context: typer.Context, share: Annotated[float, typer.Option(help="of sessions and orders")] = 1 / 3) -> None:
    """One customer with a third of all events."""
    with workbench(context.obj, console) as bench:
        growth.skew(bench, share)


@app.command("memory")
def _memory(context: typer.Context, after: Annotated[int, typer.Option(help="messages that are not looked at")] = 2_000_000) -> None:
    """The slope of RSS over a long run: 10M messages, or as many as --messages says."""
    with workbench(context.obj, console) as bench:
        growth.memory(bench, after)


def _behind(bench: Workbench) -> None:
    shape = bench.shape(_SHAPE.messages)
    names, expected = bench.loaded(shape)
    cases = [Case(tables, tables, names, expected, shape.messages) for tables in bench.tables(*Tables)]
    runs = bench.in_turn(cases)
    for case in cases:
        report.show(console, [run for run in runs if run.case == case.name])
    record.write(bench, "bench", runs, {})


if __name__ == "__main__":
    app()
