"""Expired events taken up again, with all others of their days: what a rebuild of sealed days reads besides the log or the archive."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any

from worker.dlq import MAX_BYTES, Decode
from worker.events import KeptMessage, MessageBatch, Origin, Stream
from worker.jobs.feed import Feed, Portion
from worker.store import Store


class ExpiredFeed:
    """The feed (jobs.feed.Feed) of the expired messages of some days, oldest first, up to an id."""

    def __init__(
        self,
        store: Store,
        days: tuple[date, date],
        last_id: int,
        max_messages: int,
        *,
        messages: Decode,
        file_rows: Decode,
        resume_point: Mapping[str, Any] | None = None,
    ) -> None:
        """`messages` decodes those of the log, `file_rows` those whose value is a row of a file as JSON."""
        point = resume_point or {"after": 0, "done": 0}
        self._after, self._done = int(point["after"]), int(point["done"])
        self._store, self._days, self._last_id, self._max_messages = store, days, last_id, max_messages
        self._messages, self._file_rows = messages, file_rows
        self._total = self._done + store.expired_count(*days, self._after, last_id)
        self._part: Sequence[KeptMessage] | None = None  # and not decoded yet

    @property
    def total(self) -> int:
        return self._total

    def next(self, now: datetime) -> Portion | None:
        """The next messages, decoded by the schemas of today; None at the end. Raises Unavailable, Fatal."""
        if self._part is None:
            self._part = self._store.expired_messages(*self._days, self._after, self._last_id, self._max_messages, MAX_BYTES)
        if not self._part:
            return None
        messages: dict[Stream, list[KeptMessage]] = {}
        for message in self._part:
            messages.setdefault(message.stream, []).append(message)
        decode = self._messages if self._part[0].file is None else self._file_rows
        batch = decode(MessageBatch(messages, origin=Origin.READMIT), now)
        self._after, self._done, self._part = self._part[-1].id, self._done + len(self._part), None
        return Portion(batch, {"after": self._after, "done": self._done}, self._done)

    def close(self) -> None:
        """There is nothing to let go of."""


class Chain:
    """One feed after the other, as one. Its resume point holds both of theirs."""

    def __init__(self, first: Feed, second: Feed, resume_point: Mapping[str, Any] | None = None) -> None:
        self._first, self._second = first, second
        self._point: dict[str, Any] = dict(resume_point or {"first_done": 0})
        self._is_first_done = False

    @staticmethod
    def points(resume_point: Mapping[str, Any] | None) -> tuple[Any, Any]:
        """Where each of the two feeds goes on."""
        point = resume_point or {}
        return point.get("first"), point.get("second")

    @property
    def total(self) -> int | None:
        first, second = self._first.total, self._second.total
        return None if first is None or second is None else first + second

    def next(self, now: datetime) -> Portion | None:
        portion = None if self._is_first_done else self._first.next(now)
        if portion is not None:
            self._point |= {"first": dict(portion.resume_point), "first_done": portion.done}
            return replace(portion, resume_point=dict(self._point))
        self._is_first_done = True
        portion = self._second.next(now)
        if portion is None:
            return None
        self._point["second"] = dict(portion.resume_point)
        return replace(portion, resume_point=dict(self._point), done=self._point["first_done"] + portion.done)

    def close(self) -> None:
        self._first.close()
        self._second.close()
