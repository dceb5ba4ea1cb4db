"""Tables as files that other programs read: a directory a table, a file a day, and a manifest that says what they are.

DIR/manifest.json
DIR/daily_sales/2026-03-01.parquet       every file has all columns, `day` among them
DIR/customer_first/customer_first.parquet   of a table without days
"""

import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import date, datetime
from enum import StrEnum
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as pq
import structlog
from pydantic import ValidationError

from worker.errors import StoreError
from worker.serve.snapshot import DayState, Head, Types, Wanted
from worker.store.backup import ROW_HASH, Facts, TableRows, sha256
from worker.tables import TABLES

log = structlog.get_logger(__name__)

# In the order in which they are written; marts come after them.
EXPORTED = (
    *("touchpoint", "order_current", "order_item", "product", "product_stock"),
    *TABLES,
    *("daily_users_running", "daily_sales_total"),
    *("day_state", "ledger", "ledger_sales", "mart_run"),
)
ON_REQUEST = ("customer", "customer_overview")  # they hold names
MANIFEST = "manifest.json"
_TOLD_ROWS = 1_000_000  # so that who waits sees that it goes on


class Format(StrEnum):
    """What the files are; also how their names end."""

    PARQUET = "parquet"
    CSV = "csv"
    ARROW = "arrow"


class ExportedFile(Facts):
    """One file: its path from the export's directory; the day of its rows, None: of a table without days."""

    path: str
    day: date | None
    rows: int
    bytes: int
    sha256: str


class ExportedTable(Facts):
    """One table: its columns with their types in Arrow's words, and its files by day."""

    columns: dict[str, str]
    rows: int
    files: list[ExportedFile]


class ExportManifest(Facts):
    """What an export holds, and as of when. `first`, `last`: the days that were asked for; `days`: how they stood."""

    tidemark_version: str
    exported_at: datetime
    format: Format
    reporting_time_zone: str
    reporting_currency: str
    commit_id: int
    committed_at: datetime | None
    watermark: datetime | None
    closed_before: date | None
    sealed_before: date | None
    first: date | None
    last: date | None
    days: list[DayState]
    tables: dict[str, ExportedTable]

    @classmethod
    def of(cls, head: Head, wanted: Wanted, format: Format, tables: Mapping[str, ExportedTable], now: datetime) -> "ExportManifest":
        asked = {"format": format, "first": wanted.first, "last": wanted.last}
        return cls.model_validate(head.model_dump() | asked | {"exported_at": now, "tables": tables})


def types_of(format: Format) -> Types:
    """How a snapshot for such files is to be taken."""
    return Types.FLAT if format is Format.CSV else Types.PORTABLE


@contextmanager
def new_directory(directory: Path, *, replace: bool) -> Iterator[Path]:
    """A directory beside `directory` to write to, which gets its name at the end; after a failure it is gone.

    `replace`: an earlier export may be there, and makes place at the end. Between the two renames a kill leaves neither under the name, but
    the earlier one as DIRECTORY.<pid>.replaced, the new one as DIRECTORY.<pid>.creating.

    Raises StoreError where something else is there, and for what goes wrong with the disk meanwhile.
    """
    directory = directory.resolve()
    is_there = directory.exists()
    if is_there:
        _check_replaceable(directory, replace=replace)
    temporary = directory.with_name(f"{directory.name}.{os.getpid()}.creating")
    try:
        shutil.rmtree(temporary, ignore_errors=True)
        temporary.mkdir()
        yield temporary
        os.sync()  # of thousands of small files at once: a name must not outlive a power cut that its contents do not
        if is_there:
            replaced = directory.with_name(f"{directory.name}.{os.getpid()}.replaced")
            directory.rename(replaced)
            temporary.rename(directory)
            shutil.rmtree(replaced)
        else:
            temporary.rename(directory)
    except OSError as error:
        raise StoreError(
            f"{directory} can't be written: {error}", "Check the directory above it, and the free space of the disk."
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _check_replaceable(directory: Path, *, replace: bool) -> None:
    if not replace:
        raise StoreError(f"{directory} is there already", "Choose another directory; an earlier export is replaced with --replace.")
    try:
        ExportManifest.model_validate_json((directory / MANIFEST).read_bytes())
    except (OSError, ValidationError):
        raise StoreError(f"{directory} is no export of tidemark, and is not replaced", "Choose another directory.") from None


def write_tables(directory: Path, tables: Iterable[TableRows], wanted: Wanted, format: Format) -> dict[str, ExportedTable]:
    """Each, as it was wanted, into a directory of its own; what is in memory is one piece of one table. Raises StoreError, OSError."""
    written = {}
    for table in tables:
        folder = directory / table.name
        folder.mkdir()
        schema = _plain(table.schema)
        has_day = pa.field("day", pa.date32()) in schema and table.name not in wanted.whole
        files = [
            _write_file(folder / f"{day or table.name}.{format}", day, pieces, schema, format)
            for day, pieces in _files(table, schema, has_day=has_day)
        ]
        rows = sum(file.rows for file in files)
        columns = {field.name: str(field.type) for field in schema}
        written[table.name] = ExportedTable(columns=columns, rows=rows, files=files)
        if rows > _TOLD_ROWS:
            log.info("table_exported", table=table.name, rows=rows, files=len(files))
    return written


def write_manifest(directory: Path, manifest: ExportManifest) -> None:
    """Raises OSError."""
    (directory / MANIFEST).write_text(manifest.model_dump_json(indent=2) + "\n", encoding="utf-8")


def _plain(schema: pa.Schema) -> pa.Schema:
    """Without the hash of rows, and with Arrow's own booleans: DuckDB hands over its own as an extension type."""
    fields = [field for field in schema if field.name != ROW_HASH]
    return pa.schema([pa.field(field.name, pa.bool_() if field.type == pa.bool8() else field.type) for field in fields])


def _files(table: TableRows, schema: pa.Schema, *, has_day: bool) -> Iterator[tuple[date | None, Iterable[pa.RecordBatch]]]:
    """The rows of a file each. Rows come by day; a table without days is one file, also without rows."""
    batches = (batch.drop_columns([ROW_HASH]).cast(schema) for batch in table.batches)
    if not has_day:
        yield None, batches
        return
    pieces = (piece for batch in batches for piece in _split_by_day(batch))
    for day, same_day in groupby(pieces, key=lambda piece: piece[0]):
        yield day, (batch for _, batch in same_day)


def _split_by_day(batch: pa.RecordBatch) -> Iterator[tuple[date | None, pa.RecordBatch]]:
    days = batch.column("day")
    ends = np.flatnonzero(np.diff(days.cast(pa.int32()).fill_null(0).to_numpy())) + 1  # null days come in batches of their own
    for begin, end in zip([0, *ends], [*ends, batch.num_rows], strict=True):
        if end > begin:
            yield days[begin].as_py(), batch.slice(begin, end - begin)


def _write_file(path: Path, day: date | None, batches: Iterable[pa.RecordBatch], schema: pa.Schema, format: Format) -> ExportedFile:
    rows = 0
    with _writer(path, schema, format) as writer:
        for batch in batches:
            writer.write_batch(batch)
            rows += batch.num_rows
    return ExportedFile(
        path=path.relative_to(path.parent.parent).as_posix(), day=day, rows=rows, bytes=path.stat().st_size, sha256=sha256(path)
    )


def _writer(path: Path, schema: pa.Schema, format: Format) -> Any:
    match format:
        case Format.PARQUET:
            return pq.ParquetWriter(path, schema, compression="zstd")
        case Format.CSV:
            return csv.CSVWriter(path, schema)
        case Format.ARROW:
            return pa.ipc.new_file(path, schema)
