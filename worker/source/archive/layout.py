"""Which files of a directory hold rows of which stream, and in which order they are read. Looks at names only.

Kafka Connect's sinks write `topics/<topic>/<directories of the partitioner>/<topic>+<partition>+<first offset>.<format>` (S3, GCS,
Azure) or `..+<first offset>+<last offset>.<format>` (HDFS). Any other file belongs to the stream whose name or topic its own name or
one of its directories begins with.
"""

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import accumulate, chain, pairwise
from pathlib import Path

from worker.errors import ConfigError
from worker.events import Stream

_CONNECT = re.compile(r"(?P<topic>[^+]+)\+(?P<partition>\d+)\+(?P<first>\d+)(\+(?P<last>\d+))?(?P<rest>(\.\w+)*)")
_BESIDE = re.compile(r"\.(keys|headers)\.")  # store.kafka.keys and store.kafka.headers: files beside those of the values


class Packing(StrEnum):
    """How a file is compressed as a whole, by the end of its name."""

    NONE = ""
    GZIP = ".gz"
    ZSTD = ".zst"


class Format(StrEnum):
    """By the end of the name, less the packing."""

    AVRO = ".avro"
    PARQUET = ".parquet"


@dataclass(frozen=True, slots=True)
class ArchiveFile:
    """A file of rows of one stream. `path` is below the directory, with slashes.

    partition, first_offset: as its name says, -1 where it doesn't. next_offset: no row of the file has this offset or a greater one;
    None where nobody knows.
    """

    path: str
    stream: Stream
    format: Format
    packing: Packing
    size: int
    modified_ns: int
    partition: int = -1
    first_offset: int = -1
    next_offset: int | None = None

    def is_contiguous(self, rows: int | None) -> bool:
        """True where the rows must have the offsets first_offset, first_offset + 1, ..

        There are as many rows as offsets from the first one to next_offset, and no two rows share one. Anything less would be a guess:
        a log has gaps where transactions ended or compaction went over it, and a sink leaves out null values and what it could not read.
        """
        return rows is not None and self.next_offset == self.first_offset + rows


@dataclass(frozen=True, slots=True)
class Found:
    """What a directory holds: files to read, in order; of the others path, size and time of change (ns), by path."""

    files: Sequence[ArchiveFile]
    others: Sequence[tuple[str, int, int]]


def find(directory: Path, topics: Mapping[Stream, str], stream: Stream | None = None) -> Found:
    """The files below a directory that hold rows of streams that have a topic; with `stream`, every file is one of that stream.

    Raises ConfigError: the directory can't be read.
    """
    names = {s.value: s for s in topics} | {topic: s for s, topic in topics.items()}
    files, others = [], []
    for path, status in sorted(_walk(directory), key=lambda seen: seen[0]):
        file = _file(path, status, names, stream)
        if file is None:
            others.append((path, status.st_size, status.st_mtime_ns))
        else:
            files.append(file)
    return Found(_in_turn(_with_next_offsets(_without_foreign_offsets(file, topics) for file in files)), others)


def _walk(directory: Path) -> Iterable[tuple[str, os.stat_result]]:
    if not directory.is_dir():
        raise ConfigError(f"there is no directory {directory}", "Name one that holds Avro or Parquet files.")
    try:
        for folder, folders, names in os.walk(directory, onerror=_refuse):
            folders[:] = [name for name in folders if not _is_hidden(name)]
            links = [name for name in folders if Path(folder, name).is_symlink()]  # not followed: they may lead back
            for name in [*names, *links]:
                if not _is_hidden(name):
                    path = Path(folder, name)
                    yield path.relative_to(directory).as_posix(), path.stat()
    except OSError as error:
        _refuse(error)


def _refuse(error: OSError) -> None:
    raise ConfigError(f"{error.filename} can't be read: {error.strerror}", "Check permissions, and links that lead nowhere.")


def _is_hidden(name: str) -> bool:
    """`_SUCCESS`, `_delta_log`, `.crc` and the like, and the HDFS sink's `+tmp` of files that are not yet whole."""
    return name.startswith((".", "_", "+"))


def _file(path: str, status: os.stat_result, names: Mapping[str, Stream], stream: Stream | None) -> ArchiveFile | None:
    lower = path.lower()
    packing = next((packing for packing in Packing if packing and lower.endswith(packing)), Packing.NONE)
    kind = next((kind for kind in Format if lower.removesuffix(packing).endswith(kind)), None)
    name = path.rpartition("/")[2]
    connect = _CONNECT.fullmatch(name)
    if kind is None or (connect and _BESIDE.search(connect["rest"])):
        return None
    # A sink's name tells the topic exactly: `orders-eu+0+17.avro` is not of topic orders.
    stream = stream or (names.get(connect["topic"]) if connect else _stream_of(path, names))
    if stream is None:
        return None
    file = ArchiveFile(path, stream, kind, packing, status.st_size, status.st_mtime_ns)
    if connect is None:
        return file
    next_offset = int(connect["last"]) + 1 if connect["last"] else None
    return replace(file, partition=int(connect["partition"]), first_offset=int(connect["first"]), next_offset=next_offset)


def _stream_of(path: str, names: Mapping[str, Stream]) -> Stream | None:
    """By the file's name, else by the nearest directory that begins with a name (and no letter after it), the longest there is."""
    for part in reversed(path.split("/")):
        begun = [name for name in names if part.startswith(name) and not part[len(name) :][:1].isalpha()]
        if begun:
            return names[max(begun, key=len)]
    return None


def _without_foreign_offsets(file: ArchiveFile, topics: Mapping[Stream, str]) -> ArchiveFile:
    """A file that was given a stream by hand may be of another topic: its offsets mean nothing in ours."""
    is_ours = file.path.rpartition("/")[2].startswith(f"{topics[file.stream]}+")
    return file if is_ours or file.partition < 0 else replace(file, partition=-1, first_offset=-1, next_offset=None)


def _with_next_offsets(files: Iterable[ArchiveFile]) -> list[ArchiveFile]:
    """A sink has one file at a time open for a directory and partition: the next file there begins after all rows of the one before.

    Files of other directories tell nothing: with a partitioner by time, several are open at once.
    """
    following: dict[str, int] = {}
    siblings = defaultdict(list)
    for file in files:
        siblings[file.path.rpartition("/")[0], file.stream, file.partition].append(file)
    for group in siblings.values():
        group.sort(key=lambda file: (file.first_offset, file.path))
        following |= {file.path: after.first_offset for file, after in pairwise(group) if file.first_offset >= 0}
    return [
        replace(file, next_offset=following.get(file.path)) if file.next_offset is None else file
        for file in chain.from_iterable(siblings.values())
    ]


def _in_turn(files: Iterable[ArchiveFile]) -> list[ArchiveFile]:
    """Each partition's files by first offset, else by path; partitions take turns by the share of their bytes that was read.

    All of them were written over about the same time, so what is read together happened at about the same time, and each day's rows
    are merged in few portions. That is for speed alone.
    """
    lanes = defaultdict(list)
    for file in files:
        lanes[file.stream, file.partition].append(file)
    turns: list[tuple[float, int, ArchiveFile]] = []
    for place, key in enumerate(sorted(lanes)):
        lane = sorted(lanes[key], key=lambda file: (file.first_offset, file.path))
        read = list(accumulate((file.size for file in lane), initial=0))
        turns += [(before / max(read[-1], 1), place, file) for before, file in zip(read, lane, strict=False)]
    return [file for _, _, file in sorted(turns, key=lambda turn: turn[:2])]
