"""Rejected messages taken up again, as if they had just come, or given up. What is meant is table `rejected` of the file."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, TypeAlias

import numpy as np
import structlog
from numpy.typing import NDArray

from worker.committer import Committer
from worker.errors import ConfigError
from worker.events import EventBatch, KeptMessage, MessageBatch, Origin, Stream
from worker.jobs.feed import Portion
from worker.jobs.inbox import Inbox
from worker.serve.admin import Operation
from worker.store import Store
from worker.store.rejected import Selection, ids_and_sizes, kept_messages

log = structlog.get_logger()

KIND = "dlq"
DROP = "rejected_drop"
MAX_BYTES = 64 * 2**20  # of messages held at once, or one message

# Raises Unavailable (call again with the same batch), Fatal.
Decode: TypeAlias = Callable[[MessageBatch, datetime], EventBatch]


class KeptFeed:
    """The feed (jobs.feed.Feed) of rejected messages, oldest first. Its resume point also counts those that were rejected again."""

    def __init__(
        self,
        store: Store,
        selection: Selection,
        max_messages: int,
        *,
        messages: Decode,
        file_rows: Decode,
        resume_point: Mapping[str, Any] | None = None,
    ) -> None:
        """`messages` decodes those of the log, `file_rows` those whose value is a row of a file as JSON."""
        point = resume_point or {"after": 0, "done": 0, "rejected_again": {}}
        self._messages, self._file_rows = messages, file_rows
        self._done_before: int = point["done"]
        self._rejected_again = Counter(point["rejected_again"])
        self._connection = store.cursor()
        self._ids, sizes = ids_and_sizes(self._connection, selection, point["after"])
        self._parts = self._read(sizes, max_messages)
        self._part: Sequence[KeptMessage] | None = None  # and not decoded yet

    @property
    def total(self) -> int:
        """As many as were on the list when the job began, or went on."""
        return self._done_before + len(self._ids)

    def next(self, now: datetime) -> Portion | None:
        """The next messages, decoded by the schemas and limits of today; None at the end. Raises Unavailable, Fatal."""
        if self._part is None:
            self._part = next(self._parts, None)
        if self._part is None:
            return None
        batch = self._decoded(self._part, now)
        last_id = self._part[-1].id
        self._part = None
        self._rejected_again.update(f"{rejected.stream} {rejected.reason}" for rejected in batch.rejected)
        done = self._done_before + int(np.searchsorted(self._ids, last_id, side="right"))
        return Portion(batch, {"after": last_id, "done": done, "rejected_again": dict(self._rejected_again)}, done)

    def close(self) -> None:
        """Let go of the file. May be called twice."""
        self._connection.close()

    def _read(self, sizes: NDArray[np.int64], max_messages: int) -> Iterator[list[KeptMessage]]:
        for part in _slices(sizes, max_messages):
            yield from _alike(kept_messages(self._connection, self._ids[part].tolist()))

    def _decoded(self, part: Sequence[KeptMessage], now: datetime) -> EventBatch:
        messages: dict[Stream, list[KeptMessage]] = {}
        for message in part:
            messages.setdefault(message.stream, []).append(message)
        decode = self._messages if part[0].file is None else self._file_rows
        return decode(MessageBatch(messages, origin=Origin.DLQ), now)


def _slices(sizes: NDArray[np.int64], max_messages: int) -> Iterator[slice]:
    """Slices of at most `max_messages` messages and of MAX_BYTES together, or of one message."""
    first = 0
    while first < len(sizes):
        fitting = int(np.searchsorted(np.cumsum(sizes[first : first + max_messages]), MAX_BYTES, side="right"))
        yield slice(first, first := first + max(fitting, 1))


def _alike(messages: Sequence[KeptMessage]) -> Iterator[list[KeptMessage]]:
    """Parts of the messages that one commit can hold: of each stream from one topic, and all from the log or all from files."""
    part: list[KeptMessage] = []
    topics: dict[Stream, tuple[str, str]] = {}
    for message in messages:
        topic = message.topic_name, message.topic_id
        if part and (topics.get(message.stream, topic) != topic or (message.file is None) != (part[0].file is None)):
            yield part
            part, topics = [], {}
        part.append(message)
        topics[message.stream] = topic
    if part:
        yield part


def drop(committer: Committer, selection: Selection, now: datetime) -> int:
    """Give rejected messages up: they leave the list, their bytes go. Returns how many there were. Raises ConfigError, StoreError."""
    for job in committer.store.jobs():
        if job.kind == KIND and job.is_unfinished:
            raise ConfigError(f"job {job.id} is taking up rejected messages", f"Wait for its end, or: tidemark jobs cancel {job.id}")
    with committer.transaction(now, Origin.DLQ) as tx:
        dropped = tx.drop_rejected(selection)
    log.info("rejected_dropped", messages=dropped, **selection.model_dump(mode="json", exclude_defaults=True))
    return dropped


def rejected_operations(committer: Committer, inbox: Inbox, now: Callable[[], datetime]) -> dict[str, Operation]:
    """What a running worker does about rejected messages at its admin socket: DROP, with the arguments of a Selection."""

    def dropped(arguments: Mapping[str, Any]) -> int:
        selection = Selection.of(arguments)
        return inbox.ask(lambda: drop(committer, selection, now()))

    return {DROP: dropped}
