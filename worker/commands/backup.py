"""tidemark backup: a consistent copy of the file, from a running worker too."""

import secrets
from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from worker.commands import Sources
from worker.commands.formats import count, counted, print_facts, size, utc
from worker.commands.reading import snapshot
from worker.errors import ConfigError
from worker.run import SYSTEM_CLOCK
from worker.serve.pseudonyms import key_of
from worker.serve.snapshot import Snapshot, Wanted
from worker.store.backup import Manifest, check, manifest_path, new_file, publish, sha256, write

_SHORTEST_KEY = 16  # bytes


def backup(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(help="Where the copy goes; its manifest stands beside it. It must not be there yet.")],
    pseudonymise: Annotated[
        bool, typer.Option("--pseudonymise", help="For staging: what names a person becomes a keyed hash, kept messages are left out.")
    ] = False,
    key_file: Annotated[
        Path | None, typer.Option("--key-file", metavar="FILE", help="The secret of the pseudonyms. Default: a random one, kept nowhere.")
    ] = None,
) -> None:
    """Copy the file as of its last commit, beside a running worker too, and check the copy row by row before it gets its name."""
    settings = context.ensure_object(Sources).settings()
    if key_file is not None and not pseudonymise:
        raise ConfigError("--key-file is for --pseudonymise", "Give both, or neither.")
    wanted = Wanted(key=_key(key_file) if pseudonymise else None)
    with new_file(file) as temporary, closing(snapshot(settings, wanted)) as source:
        write(temporary, settings.store, source.head.definitions, source.tables)
        source.close()  # the worker is free again
        check(temporary, settings.store, source.sums, source.head.duckdb_version)
        manifest = _manifest(source, temporary, is_pseudonymised=pseudonymise)
        publish(temporary, file, manifest)
    print_manifest(file, manifest)


def print_manifest(file: Path, manifest: Manifest) -> None:
    """What a copy holds, for a person."""
    facts = {
        "manifest": manifest_path(file),
        "as of commit": count(manifest.commit_id),
        "watermark": utc(manifest.watermark),
        "rows": f"{count(sum(table.rows for table in manifest.tables.values()))} in {counted(len(manifest.tables), 'table')}",
        "size": size(manifest.bytes),
        "sha256": manifest.sha256,
        "ids": "pseudonyms" if manifest.is_pseudonymised else "as they are",
    }
    print_facts(f"backup {file}", facts.items())


def _manifest(source: Snapshot, file: Path, *, is_pseudonymised: bool) -> Manifest:
    own = {
        "created_at": SYSTEM_CLOCK.now(),
        "is_pseudonymised": is_pseudonymised,
        "bytes": file.stat().st_size,
        "sha256": sha256(file),
        "tables": source.sums,
    }
    return Manifest.model_validate(source.head.model_dump() | own)


def _key(file: Path | None) -> str:
    if file is None:
        return secrets.token_hex(32)
    try:
        secret = file.read_bytes().rstrip(b"\r\n")
    except OSError as error:
        raise ConfigError(f"--key-file {file} can't be read: {error.strerror}", "Name a file that holds the secret.") from None
    if len(secret) < _SHORTEST_KEY:
        raise ConfigError(f"--key-file {file}: {len(secret)} bytes are no secret", f"Take at least {_SHORTEST_KEY} random ones.")
    return key_of(secret).hex()
