"""tidemark demo: the whole job on one machine, with nothing else installed."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from worker import log
from worker.config import Log
from worker.demo.job import Stopped
from worker.demo.run import run_purchases, run_shop


def demo(
    real: Annotated[bool, typer.Option("--real", help="Real purchases, the CDNOW sample from PyPI, instead of the seeded shop.")] = False,
    seed: Annotated[int, typer.Option(min=0, help="Of the shop: the same seed makes the same shop.")] = 42,
    file: Annotated[Path | None, typer.Option(help="Where the tables go. Default: demo.duckdb, with --real demo-real.duckdb.")] = None,
) -> None:
    """Send a shop's messages through an embedded Kafka broker and the worker, show the tables, verify them. Needs no configuration."""
    log.configure(Log(level="error"))
    console = Console(highlight=False)
    try:
        if real:
            run_purchases(file or Path("demo-real.duckdb"), console)
        else:
            run_shop(file or Path("demo.duckdb"), seed, console)
    except KeyboardInterrupt:
        raise Stopped("the demo was stopped", "The next one starts afresh.") from None
