"""What a backfill reads: found, checked and counted before anything is merged."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker.backfill.parts import Archive, Mapped, Part
from worker.decode.readings import READER_ARROW
from worker.decode.rows import OriginColumns
from worker.errors import ConfigError
from worker.events import Stream
from worker.source.archive import ArchiveFile, Packing, find

_INSERTED = OriginColumns()


@dataclass(frozen=True, slots=True)
class ArchivePlan:
    """The parts, in the order of reading. `rows`: of all of them; None where only reading tells. `others`: files that are left out.

    `has_offsets`: partitions and offsets that the files tell are those of the topics as they are now. `fingerprint` (what JSON has) is
    that of the files and of all that decides how they are read.
    """

    archive: Archive
    topics: Mapping[Stream, str]
    parts: Sequence[Part]
    others: Sequence[str]
    has_offsets: bool
    fingerprint: Mapping[str, Any]
    rows: int | None


def plan_archive(
    directory: Path,
    topics: Mapping[Stream, str],
    *,
    stream: Stream | None = None,
    mappings: Mapping[Stream, Path] | None = None,
    origin: OriginColumns = _INSERTED,
    has_offsets: bool = True,
    memory_limit: str = "512MB",
) -> ArchivePlan:
    """Look at the files below a directory: which stream each is of, its columns, its rows. So all fit before any is merged.

    With `stream`, every file is one of that stream; with `mappings`, what these SELECTs give is read, and nothing else. `topics` are
    those of the streams that are on. Without `has_offsets`, the offsets that files tell are left alone: they are of another topic or
    cluster. `memory_limit` is DuckDB's, for a SELECT. Files that are compressed as a whole are not looked into.

    Raises ConfigError (directory, SELECT or names do not fit), ArchiveError (a file is damaged, or has not the columns).
    """
    mappings = mappings or {}
    _check_names([*([stream] if stream else []), *mappings], topics, origin)
    directory = directory.resolve()
    found = find(directory, topics, stream)
    parts: Sequence[Part] = found.files
    seen = sorted((file.path, file.size, file.modified_ns) for file in found.files)
    if mappings:
        parts = [Mapped(str(path), mapped, _text(path)) for mapped, path in sorted(mappings.items())]
        seen = sorted([*seen, *found.others])
    if not parts:
        raise ConfigError(
            f"{directory} holds no Avro or Parquet file of {', '.join(topics)} ({len(found.others):,} other files)",
            "The name of a file, or of its directory, begins with its topic or stream. Or name the stream (--stream orders), "
            "or map another layout (--map orders=FILE.sql).",
        )
    others = [] if mappings else [path for path, _, _ in found.others]
    archive = Archive(directory, origin, memory_limit)
    options = [*origin, has_offsets]
    return ArchivePlan(archive, topics, parts, others, has_offsets, _fingerprint(seen, parts, topics, options), _rows(archive, parts))


def _check_names(streams: Sequence[Stream], topics: Mapping[Stream, str], origin: OriginColumns) -> None:
    for stream in streams:
        if stream not in topics:
            raise ConfigError(f"the stream {stream} is off: it has no topic", f"Set kafka.topics.{stream}.")
    own = {name for stream in topics for name in READER_ARROW[stream].names}
    if len(set(origin)) < len(origin) or own & set(origin):
        raise ConfigError(f"{', '.join(origin)}: the columns of partition, offset and topic must be three that events do not have")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} can't be read: {error}", "Name a readable .sql file: --map orders=FILE.sql") from None


def _fingerprint(
    seen: Sequence[tuple[str, int, int]], parts: Sequence[Part], topics: Mapping[Stream, str], options: Sequence[Any]
) -> Mapping[str, Any]:
    """Of files by path, size and time of change: two numbers for a person, and a digest that tells any difference."""
    read = [(part.path, part.stream, topics[part.stream], part.sql if isinstance(part, Mapped) else "") for part in parts]
    digest = hashlib.sha256(json.dumps([seen, read, options]).encode()).hexdigest()
    return {"files": len(seen), "bytes": sum(size for _, size, _ in seen), "digest": digest}


def _rows(archive: Archive, parts: Sequence[Part]) -> int | None:
    """The rows of all parts, each of which is looked at."""
    counts = [_count(archive, part) for part in parts]
    return None if None in counts else sum(count for count in counts if count is not None)


def _count(archive: Archive, part: Part) -> int | None:
    if isinstance(part, ArchiveFile) and part.packing is not Packing.NONE:
        return None
    with closing(archive.open(part)) as source:
        return source.count()
