"""A plan's rows as portions of decoded events."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Any, overload

import numpy as np
import pyarrow as pa

from worker.backfill.parts import Part, Source
from worker.backfill.plan import ArchivePlan
from worker.decode.accept import Origins, in_day_order
from worker.decode.calendar import ReportingZone, micros
from worker.decode.cursor import Ints, SmallInts
from worker.decode.readings import Read
from worker.decode.reasons import Reason
from worker.decode.rows import Rows, rejected
from worker.errors import ArchiveError
from worker.events import EventBatch, FileRow, MessageBatch, Origin, Rejected, Stream
from worker.jobs.feed import Portion
from worker.source.archive import ArchiveFile

_MAX_ROWS = 50_000  # of a piece; smaller ones cost more to put together than their columns gain in the processor's cache


@dataclass(frozen=True, slots=True)
class _Progress:
    """How far the reading has come: all parts before parts[part], and `row` rows of that one. `done`: the rows of all of these."""

    part: int = 0
    row: int = 0
    done: int = 0
    checksum: int = 0  # of a mapping's rows before `row`


@dataclass(frozen=True, slots=True)
class _Piece:
    """Some rows of a part, the first of them its row number `first_row`; `after` is the progress once they are merged."""

    part: Part
    first_row: int
    rows: Rows
    is_contiguous: bool
    after: _Progress


class ArchiveFeed:
    """The rows of a plan, from its beginning or from a resume point on: a worker.jobs.feed.Feed."""

    def __init__(
        self,
        plan: ArchivePlan,
        zone: ReportingZone,
        future_guard: timedelta,
        max_rows: int,
        resume_point: Mapping[str, Any] | None = None,
        topic_ids: Callable[[], Mapping[str, str]] = dict,
    ) -> None:
        """`max_rows`: in a portion at most. `topic_ids` says of which topics the offsets are that files prove; it is asked once, and not
        again from a resume point on, for a topic may be replaced meanwhile. Raises ArchiveError where the plan is not the resume point's.
        """
        self._plan, self._zone, self._future_guard, self._max_rows = plan, zone, future_guard, max_rows
        self._ask_topic_ids = topic_ids
        self._topic_ids: Mapping[str, str] | None = (resume_point or {}).get("topic_ids")
        self._pieces = self._read(_progress(plan, resume_point))
        self._held: _Piece | None = None
        self._is_at_end = False

    @property
    def total(self) -> int | None:
        return self._plan.rows

    def next(self, now: datetime) -> Portion | None:
        taken = self._taken()
        if not taken:
            return None
        after = taken[-1].after
        batch = self._decoded(taken, micros(now + self._future_guard))
        if self._topic_ids is None and _has_offsets(batch):
            self._topic_ids = dict(self._ask_topic_ids())
        resume_point = {"archive": self._plan.fingerprint, "topic_ids": self._topic_ids} | asdict(after)
        return Portion(batch, resume_point, after.done, self._topic_ids or {})

    def close(self) -> None:
        self._pieces.close()

    def _taken(self) -> list[_Piece]:
        """The pieces of the next portion: at least one, if there is any."""
        taken: list[_Piece] = []
        rows = 0
        while True:
            if self._held is None:
                self._held = next(self._pieces, None)
            if self._held is None:
                assert self._is_at_end, "the reading has failed, or was closed"
                return taken
            rows += len(self._held.rows)
            if taken and rows > self._max_rows:
                return taken
            taken.append(self._held)
            self._held = None

    def _read(self, start: _Progress) -> Generator[_Piece, None, None]:
        done = start.done
        max_rows = min(_MAX_ROWS, self._max_rows)
        for number, part in enumerate(self._plan.parts[start.part :], start.part):
            first_row, checksum = (start.row, start.checksum) if number == start.part else (0, 0)
            with closing(self._plan.archive.open(part, checksum)) as source:
                is_contiguous = self._proves_offsets(part, source)
                for row, rows, checksum_after in source.pieces(first_row, max_rows):
                    done += len(rows)
                    yield _Piece(part, row, rows, is_contiguous, _Progress(number, row + len(rows), done, checksum_after))
        self._is_at_end = True

    def _proves_offsets(self, part: Part, source: Source) -> bool:
        if not self._plan.has_offsets or not isinstance(part, ArchiveFile) or part.next_offset is None:
            return False
        return part.is_contiguous(source.count())

    def _decoded(self, pieces: Sequence[_Piece], latest: int) -> EventBatch:
        messages: defaultdict[Stream, _FileRows] = defaultdict(_FileRows)
        events: defaultdict[Stream, list[pa.RecordBatch]] = defaultdict(list)
        refused: list[Rejected] = []
        for piece in pieces:
            stream, archive = piece.part.stream, self._plan.archive
            reader, file_rows = archive.reader(piece.part), messages[stream]
            first_seq, topic, read = len(file_rows), self._plan.topics[stream], piece.rows.read()
            told = reader.origins(read.columns, topic) if self._plan.has_offsets else None
            partitions, offsets = _origins(piece, read, told)
            file_rows.add(_Batch(topic, archive.name(piece.part), piece.first_row, piece.rows, partitions, offsets))
            origins = Origins(first_seq + read.places, partitions[read.places], offsets[read.places])
            found, faults = reader.events(read.columns, origins, self._zone, latest)
            broken = [(row, Reason.MALFORMED, detail) for row, detail in read.broken]
            broken += [(int(read.places[fault.row]), fault.reason, fault.detail) for fault in faults]
            refused += [rejected(stream, file_rows[first_seq + row], reason, detail) for row, reason, detail in sorted(broken)]
            if len(found):
                events[stream].append(found)
        return EventBatch(
            messages=MessageBatch(messages, origin=Origin.BACKFILL),
            events={stream: in_day_order(batches) for stream, batches in events.items()},
            tombstones={},
            rejected=refused,
        )


def _progress(plan: ArchivePlan, resume_point: Mapping[str, Any] | None) -> _Progress:
    if resume_point is None:
        return _Progress()
    then, now = resume_point["archive"], plan.fingerprint
    if then != now:
        told = [f"{files['files']:,} files of {files['bytes']:,} bytes" for files in (then, now)]
        raise ArchiveError(
            f"{plan.archive.directory} is not what the backfill began with: {told[0]} then, {told[1]} now"
            + (", but changed" if told[0] == told[1] else ""),
            "Names, sizes, times of change and the mapping must be the same. Start anew: rows that are in are recognised.",
        )
    return _Progress(**{name: value for name, value in resume_point.items() if name not in ("archive", "topic_ids")})


def _has_offsets(batch: EventBatch) -> bool:
    return any((events["offset"].to_numpy() >= 0).any() for events in batch.events.values())


def _origins(piece: _Piece, read: Read, told: tuple[SmallInts, Ints] | None) -> tuple[SmallInts, Ints]:
    """Partition and offset of each row of the piece: what its columns tell, else what its file's name proves, else -1."""
    n = len(piece.rows)
    partitions, offsets = np.full(n, -1, np.int32), np.full(n, -1, np.int64)
    if told is not None:
        partitions[read.places], offsets[read.places] = told
    elif piece.is_contiguous and isinstance(piece.part, ArchiveFile):
        partitions[:] = piece.part.partition
        offsets[:] = np.arange(n) + (piece.part.first_offset + piece.first_row)
    return partitions, offsets


@dataclass(frozen=True, slots=True)
class _Batch:
    """Rows of one file, with the number of the first one; partition and offset of each."""

    topic: str
    file: str
    first_row: int
    rows: Rows
    partitions: SmallInts
    offsets: Ints


class _FileRows(Sequence[FileRow]):
    """The rows of a portion in place of messages. Each is made when it is asked for, as is its JSON."""

    def __init__(self) -> None:
        self._batches: list[_Batch] = []
        self._starts: list[int] = []
        self._len = 0

    def add(self, batch: _Batch) -> None:
        self._batches.append(batch)
        self._starts.append(self._len)
        self._len += len(batch.rows)

    def __len__(self) -> int:
        return self._len

    @overload
    def __getitem__(self, seq: int) -> FileRow: ...
    @overload
    def __getitem__(self, seq: slice) -> Sequence[FileRow]: ...
    def __getitem__(self, seq: int | slice) -> FileRow | Sequence[FileRow]:
        if isinstance(seq, slice):
            return [self[place] for place in range(*seq.indices(self._len))]
        if not 0 <= seq < self._len:
            raise IndexError(seq)
        place = bisect_right(self._starts, seq) - 1
        batch, row = self._batches[place], seq - self._starts[place]
        return FileRow(
            batch.topic,
            int(batch.partitions[row]),
            int(batch.offsets[row]),
            batch.file,
            batch.first_row + row,
            partial(batch.rows.as_json, row),
        )
