"""A feed without the events of other days."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from typing import Any, overload

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from worker.events import EventBatch, Message, MessageBatch, Stream
from worker.jobs.feed import Feed, Portion

_OF_DAYS = frozenset({Stream.ORDERS, Stream.TOUCHPOINTS})


class DaysFeed:
    """Of another feed, the orders and touchpoints of the days from `first` to `last`; others do not count as read.

    Customers and products, which are of no day, stay, and so do rejected rows.
    """

    def __init__(self, feed: Feed, first: date, last: date) -> None:
        self._feed = feed
        self._first, self._last = pa.scalar(first, pa.date32()), pa.scalar(last, pa.date32())

    @property
    def total(self) -> int | None:
        return self._feed.total

    def next(self, now: datetime) -> Portion | None:
        portion = self._feed.next(now)
        return portion and replace(portion, batch=self._filtered(portion.batch))

    def close(self) -> None:
        self._feed.close()

    def _filtered(self, batch: EventBatch) -> EventBatch:
        events: dict[Stream, pa.RecordBatch] = {}
        messages: dict[Stream, Sequence[Message]] = {}
        for stream, all_messages in batch.messages.messages.items():
            rows = batch.events.get(stream)
            if stream not in _OF_DAYS:
                messages[stream] = all_messages
                events |= {} if rows is None else {stream: rows}
                continue
            kept = [] if rows is None else self._seqs(rows)
            rejected = sum(each.stream is stream for each in batch.rejected)
            messages[stream] = _Some(all_messages, kept, rejected)
            if rows is not None:
                within = rows.filter(pc.is_in(rows["seq"], pa.array(kept, pa.int64())))
                places = np.searchsorted(kept, within["seq"].to_numpy())
                events[stream] = within.set_column(0, rows.schema.field("seq"), pa.array(places, pa.int64()))
        return EventBatch(MessageBatch(messages, origin=batch.messages.origin), events, batch.tombstones, batch.rejected)

    def _seqs(self, rows: pa.RecordBatch) -> list[int]:
        days = rows["day"]
        within = pc.and_(pc.greater_equal(days, self._first), pc.less_equal(days, self._last))
        return sorted(rows["seq"].filter(within).to_pylist())


class _Some(Sequence[Message]):
    """The messages at `places` of others; then `rejected` more, which nobody looks at: they were taken apart already."""

    def __init__(self, messages: Sequence[Message], places: Sequence[int], rejected: int) -> None:
        self._messages, self._places, self._rejected = messages, places, rejected

    def __len__(self) -> int:
        return len(self._places) + self._rejected

    @overload
    def __getitem__(self, seq: int) -> Message: ...
    @overload
    def __getitem__(self, seq: slice) -> Sequence[Message]: ...
    def __getitem__(self, seq: Any) -> Any:
        if isinstance(seq, slice):
            return [self._messages[place] for place in self._places[seq]]
        return self._messages[self._places[seq]]
