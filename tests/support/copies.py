"""What tests of backup and export share: a file with something of everything, and the ways to read it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import duckdb
import pytest

from tests.support.marts import Marts
from tests.support.messages import Produced
from tests.support.streams import random_options, random_stream
from tests.support.worker import Worker, customer, line, order, product, tombstone, touch
from worker import cli
from worker.serve.admin import AdminServer
from worker.serve.operations import reading_operations
from worker.serve.query import Limits
from worker.serve.status import Status

_directory = TemporaryDirectory()
UUID = "550e8400-e29b-41d4-a716-446655440000"


def filled(directory: Path) -> Worker:
    """The 5th is sealed, with an expired event; the 9th and 10th are closed, the 9th re-merged; the 12th is open; a message is rejected.
    Some marts were refreshed.
    """
    return successor(_filled(), directory)


def successor(worker: Worker, directory: Path, file: Path | None = None) -> Worker:
    """Another worker as that one ended, on a copy of its file or on that other one, and with a log of its own that goes on from there."""
    directory.mkdir(exist_ok=True)
    other = Worker(directory, **worker._sections)
    other.close()
    shutil.copyfile(file or worker.settings.store.path, other.settings.store.path)
    other.log, other.now = deepcopy(worker.log), worker.now
    other.reopen()
    return other


@cache
def _filled() -> Worker:
    worker = Worker(Path(_directory.name), retention={"days": 3})
    worker.feed(*_of("2026-03-05"), *_of("2026-03-09"), *_of("2026-03-10"), close="2026-03-11")
    lates = [touch("late-comer", "2026-03-09", event_id=UUID), touch("too-late", "2026-03-05")]
    named = customer("anna-1", "2026-03-12", customer_unique_id="anna", name="Anna Ampère", email="anna@shop.example", city="Lyon")
    gone = [tombstone("orders", "order-gone", "2026-03-12"), tombstone("customers", "berta-2", "2026-03-12")]
    worker.feed(*_of("2026-03-12"), *lates, Produced("touchpoints", b"of nobody@shop.example"), named, *gone)
    Marts(worker).refresh("customer_facts", "funnel")
    worker.close()
    return worker


def _of(day: str) -> list[Produced]:
    visits = [
        touch(name, day, product_id="p1", cost_cents=5, channel=("email", "paid")[n % 2])
        for n, name in enumerate(("anna-1", "berta-2", None))
    ]
    items = [line(category="shirts", unit_price_cents=123), line(product_id="p2", quantity=2, unit_cost_cents=7)]
    sold = [order(f"order-{day}", day, customer_id="anna-1", items=items, city="Lyon"), order("order-gone", day, customer_id="berta-2")]
    return [*visits, *sold, product("p1", day, stock_level=3, name="Shirt")]


def random_worker(directory: Path, seed: int) -> tuple[Worker, list[list[Produced]]]:
    """A worker, and the batches of a random stream that it is still to be fed."""
    options = random_options(seed, messages=400)
    stream = random_stream(seed, options)
    batches = [stream[at : at + 100] for at in range(0, len(stream), 100)]
    return Worker(directory, partitions=options.partitions, time={"reporting_time_zone": options.time_zone}), batches


@contextmanager
def serving(worker: Worker) -> Iterator[AdminServer]:
    """The worker answers at its admin socket."""
    operations = reading_operations(worker.store.cursor, Status, Limits(30.0, 100_000))
    with AdminServer(worker.settings.admin_socket, operations) as server:
        yield server


def contents(connection: duckdb.DuckDBPyConnection) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of all tables, and what the tables, views and macros are."""
    names = [name for (name,) in connection.execute("select table_name from duckdb_tables() where not temporary").fetchall()]
    found = {name: connection.execute(f'from "{name}" order by all').fetchall() for name in names}
    for kind in ("tables", "views"):
        rows = connection.execute(f"select schema_name, sql from duckdb_{kind}() where not internal and not temporary order by all")
        found[kind] = rows.fetchall()
    macros = "select function_name, parameters from duckdb_functions() where function_type = 'table_macro' and not internal order by all"
    found["macros"] = connection.execute(macros).fetchall()
    return found


def contents_of(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    """Of a closed file."""
    with duckdb.connect(str(path), read_only=True) as connection:
        return contents(connection)


def ended(*arguments: str, path: Path) -> int:
    """The exit code of `tidemark` for the file at `path`, run in this process."""
    with pytest.raises(SystemExit) as exited:
        cli.main(["--set", f"store.path={path}", *arguments])
    return int(exited.value.code or 0)
