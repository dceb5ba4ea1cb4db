"""tidemark export: tables as Parquet, CSV or Arrow files, beside a running worker too."""

from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from worker.commands import Sources
from worker.commands.days import day_range
from worker.commands.formats import count, print_rows, size, utc
from worker.commands.marts import left_out
from worker.commands.reading import snapshot
from worker.errors import ConfigError
from worker.marts.collection import check, collected
from worker.marts.definition import Mart
from worker.run import SYSTEM_CLOCK
from worker.serve.export import EXPORTED, ON_REQUEST, ExportManifest, Format, new_directory, types_of, write_manifest, write_tables
from worker.serve.snapshot import Wanted


def export(
    context: typer.Context,
    directory: Annotated[Path, typer.Argument(help="Where the files go. It must not be there yet.")],
    tables: Annotated[
        str | None, typer.Option(metavar="A,B", help="Only these tables or marts. Default: all but those with names of customers.")
    ] = None,
    days: Annotated[str | None, typer.Option(metavar="A..B", help="Only these days, of tables that have days.")] = None,
    format: Annotated[Format, typer.Option(help="What the files are.")] = Format.PARQUET,
    replace: Annotated[bool, typer.Option("--replace", help="An earlier export there makes place, once the new one is whole.")] = False,
) -> None:
    """Write tables to files, a file a day, all as of one commit, with a manifest. Money is in integer minor units, times are UTC."""
    settings = context.ensure_object(Sources).settings()
    first, last = day_range(days, "--days") if days else (None, None)
    marts = collected(settings.marts)
    check(_named(tables or ""), marts.faults)
    chosen, if_there = _chosen(tables, marts.marts)
    whole = tuple(name for name, mart in marts.marts.items() if "day" not in mart.key)
    wanted = Wanted(tables=chosen, if_there=if_there, whole=whole, first=first, last=last, types=types_of(format))
    with new_directory(directory, replace=replace) as temporary, closing(snapshot(settings, wanted)) as source:
        written = write_tables(temporary, source.tables, wanted, format)
        manifest = ExportManifest.of(source.head, wanted, format, written, SYSTEM_CLOCK.now())
        write_manifest(temporary, manifest)
    _print(manifest)
    left_out(marts.faults if tables is None else {}, "exported")


def _named(tables: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip() for name in tables.split(",")))


def _chosen(tables: str | None, marts: Mapping[str, Mart]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The tables to export, and those more that are exported where they are there: marts that were refreshed."""
    if tables is None:
        return EXPORTED, tuple(name for name, mart in marts.items() if not mart.front.internal and name not in ON_REQUEST)
    chosen = _named(tables)
    known = sorted({*EXPORTED, *ON_REQUEST, *marts})
    if unknown := [name for name in chosen if name not in known]:
        raise ConfigError(f"--tables: {', '.join(map(repr, unknown))} can't be exported", f"There are {', '.join(known)}.")
    return chosen, ()


def _print(manifest: ExportManifest) -> None:
    rows = [
        (name, count(table.rows), count(len(table.files)), size(sum(file.bytes for file in table.files)))
        for name, table in manifest.tables.items()
    ]
    print_rows(["table", "rows", "files", "size"], rows, right=["rows", "files", "size"])
    open_days = sum(day.is_open for day in manifest.days)
    typer.echo(
        f"As of commit {manifest.commit_id}, watermark {utc(manifest.watermark) or 'none'}; "
        f"days: {open_days} open, {len(manifest.days) - open_days} closed."
    )
