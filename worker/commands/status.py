"""tidemark status: how far the worker has come; of a worker that runs, else of the file."""

from collections.abc import Sequence
from contextlib import closing
from typing import Any

import typer
from pydantic import BaseModel

from worker.commands import AsJson, Sources, print_json_lines, print_rows
from worker.config import Settings
from worker.serve.admin import NoWorker, ask
from worker.serve.status import AccountingStatus, PartitionStatus, RejectedStatus, Status, status_of_file
from worker.store.reader import open_reader


def status(context: typer.Context, as_json: AsJson = False) -> None:
    """Show state, watermark, days, positions, accounting and rejected messages; of the file alone where no worker runs."""
    snapshot = current_status(context.ensure_object(Sources).settings())
    if as_json:
        print_json_lines([snapshot.as_json()])
        return
    print_rows(["worker", ""], _summary(snapshot))
    _print_each("positions", PartitionStatus, snapshot.partitions)
    _print_each("accounting", AccountingStatus, snapshot.accounting)
    _print_each("rejected", RejectedStatus, snapshot.rejected)


def current_status(settings: Settings) -> Status:
    """From the worker that holds the file, else from the file. Raises StoreError, Unavailable."""
    try:
        return Status.model_validate(ask(settings.admin_socket, "status"))
    except NoWorker:
        with closing(open_reader(settings.store.path, settings.store)) as connection:
            return status_of_file(connection, settings.store.path)


def _summary(snapshot: Status) -> list[tuple[str, Any]]:
    plain = snapshot.as_json()
    days, file = snapshot.days, snapshot.file
    rows = {
        "state": snapshot.state,
        "ready": "; ".join(snapshot.not_ready) or "yes",
        "waiting for": snapshot.message,
        "watermark": plain["watermark"],
        "watermark lag, s": snapshot.watermark_lag_seconds,
        "last commit": plain["last_commit_at"],
        "days": f"{days.open} open, {days.closed} closed, {days.sealed} sealed; {days.first} to {days.last}" if days.first else "none",
        "time zone": snapshot.reporting_time_zone,
        "currency": snapshot.reporting_currency,
        "file": f"{file.path}: {file.file_bytes:,} bytes, write-ahead log {file.wal_bytes:,}" if file else None,
        "versions": ", ".join(f"{name} {version}" for name, version in snapshot.versions.items()),
    }
    return [(name, value) for name, value in rows.items() if value not in (None, "")]


def _print_each(title: str, kind: type[BaseModel], items: Sequence[BaseModel]) -> None:
    if items:
        columns = list(kind.model_fields)
        numbers = [name for name, field in kind.model_fields.items() if field.annotation is not str]
        print_rows(columns, [[getattr(item, column) for column in columns] for item in items], title=title, right=numbers)
