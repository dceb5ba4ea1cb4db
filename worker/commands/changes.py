"""--dry-run: the job is done on a copy of the file, and the copy compared with what it was. The file itself is not written to."""

import shutil
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer

from worker.commands.formats import counted, money, print_rows, size
from worker.commands.jobs import JobFailed, outcomes, plain, run_alone
from worker.commands.reading import snapshot
from worker.config import Settings
from worker.errors import StoreError
from worker.serve.snapshot import Wanted
from worker.store.backup import write
from worker.store.difference import SalesChange, TableChange, compare, without_jobs
from worker.store.jobs import JobState

_COPIES = 2.5  # the copy, what it was, and what the job adds


def show_changes(settings: Settings, kind: str, arguments: Mapping[str, Any]) -> None:
    """Do the job on a copy beside the file, and print by day and table what it changes. Raises StoreError, JobFailed."""
    file = settings.store.path
    _require_space(file)
    with TemporaryDirectory(prefix=f".{file.name}.dry-run-", dir=file.parent) as directory:
        before, after = Path(directory) / "before.duckdb", Path(directory) / "after.duckdb"
        with closing(snapshot(settings, Wanted())) as source:
            write(before, settings.store, source.head.definitions, source.tables)
        without_jobs(before, settings.store)
        shutil.copyfile(before, after)
        copy = settings.model_copy(
            update={
                "store": settings.store.model_copy(update={"path": after}),
                "serve": settings.serve.model_copy(update={"admin_socket": None}),
            }
        )
        row = run_alone(copy, kind, arguments)
        if row.state is not JobState.DONE:
            raise JobFailed(f"dry run: {row.message or 'interrupted'}", "Nothing was written to the file.")
        typer.echo(f"dry run: {outcomes(plain(row))}\n")
        _print(*compare(before, after, settings.store))


def _print(changes: list[TableChange], sales: list[SalesChange]) -> None:
    if not changes:
        typer.echo("dry run: nothing would change")
        return
    rows = [(change.day, change.table, f"{change.gone:,}", f"{change.new:,}") for change in changes]
    print_rows(["day", "table", "rows that go", "rows that come"], rows, right=["rows that go", "rows that come"])
    if sales:
        columns = ["day", "currency", "orders", "orders then", "net", "net then"]
        figures = [(s.day, s.currency, *(f"{n:,}" for n in s.orders), *(money(n, s.currency) for n in s.net_cents)) for s in sales]
        typer.echo()
        print_rows(columns, figures, right=columns[2:])
    days = {change.day for change in changes if change.day is not None}
    typer.echo(f"\ndry run: {counted(len(days), 'day')} would change; nothing was written to the file")


def _require_space(file: Path) -> None:
    needed, free = int(_COPIES * file.stat().st_size) if file.exists() else 0, shutil.disk_usage(file.parent).free
    if free < needed:
        raise StoreError(
            f"a dry run makes copies of {file}: {size(needed)} beside it, of which {size(free)} are free",
            "Free space, or replay without --dry-run: what is there already stays.",
        )
