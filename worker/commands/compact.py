"""tidemark compact: days in order, and space given back."""

from pathlib import Path

import typer

from worker.commands import Sources
from worker.commands.formats import size
from worker.commands.jobs import Detach, submit
from worker.serve.status import FileStatus
from worker.store.reader import require_file


def compact(context: typer.Context, detach: Detach = False) -> None:
    """Write closed days anew in the order of their days, and give space back; beside the live stream too. It may be ended anywhere."""
    settings = context.ensure_object(Sources).settings()
    file = settings.store.path
    require_file(file)
    before = _taken(file)
    submit(settings, "compact", {}, detach=detach)
    if not detach:
        typer.echo(f"{file}: {size(before)} before, {size(_taken(file))} now")


def _taken(file: Path) -> int:
    """Bytes on disk, with the write-ahead log, which ends up in the file."""
    sizes = FileStatus.of(file)
    return sizes.file_bytes + sizes.wal_bytes
