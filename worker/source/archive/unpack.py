"""Files of an archive opened; what is compressed as a whole is unpacked beside, for its format needs to jump about in it."""

import shutil
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

import pyarrow as pa

from worker.errors import ArchiveError
from worker.source.archive.layout import ArchiveFile, Packing

_CODEC = {Packing.GZIP: "gzip", Packing.ZSTD: "zstd"}


def opened(directory: Path, file: ArchiveFile) -> BinaryIO:
    """The file's bytes, unpacked into a nameless file in TMPDIR if need be.

    Raises ArchiveError: it can't be read, is damaged, or is not what it was when the directory was looked at.
    """
    path = directory / file.path
    try:
        status = path.stat()
        if (status.st_size, status.st_mtime_ns) != (file.size, file.modified_ns):
            raise ArchiveError(f"{path} has changed since its directory was looked at", "Start anew: rows that are in are recognised.")
        return path.open("rb") if file.packing is Packing.NONE else _unpacked(path, _CODEC[file.packing])
    except OSError as error:
        raise ArchiveError(f"{path} can't be read: {error}", "Check its permissions, and the space in TMPDIR.") from error


def _unpacked(path: Path, codec: str) -> BinaryIO:
    with ExitStack() as on_failure:
        plain = on_failure.enter_context(tempfile.TemporaryFile(prefix="tidemark-"))
        try:
            with pa.input_stream(str(path), compression=codec) as packed:
                shutil.copyfileobj(packed, plain, 1 << 20)
        except OSError as error:
            if error.errno is not None:  # of the system: the disk is full
                raise
            raise ArchiveError(f"{path} can't be unpacked: {error}", "Fetch it again, or take it out of the directory.") from None
        on_failure.pop_all()
    return plain
