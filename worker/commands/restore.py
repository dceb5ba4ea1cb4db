"""tidemark restore: the file from a backup."""

from pathlib import Path
from typing import Annotated

import typer

from worker.commands import Sources
from worker.commands.backup import print_manifest
from worker.errors import StoreError
from worker.serve.admin import NoWorker, ask
from worker.store.backup import restore


def restore_command(
    context: typer.Context,
    backup: Annotated[Path, typer.Argument(help="What tidemark backup has made; its manifest stands beside it.")],
) -> None:
    """Check a backup and put a copy of it where store.path says; there must be no file yet. The worker then goes on from its position."""
    settings = context.ensure_object(Sources).settings()
    try:
        ask(settings.admin_socket, "status")
    except NoWorker:
        pass
    else:
        raise StoreError(f"a worker runs: it answers at {settings.admin_socket}", "Stop it, and move its file away.")
    manifest = restore(backup, settings.store.path, settings.store)
    print_manifest(backup, manifest)
    typer.echo(f"Restored to {settings.store.path}. Start the worker: tidemark run")
