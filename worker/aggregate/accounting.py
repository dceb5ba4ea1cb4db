"""The books of one batch: every message read is accepted, duplicate, superseded, rejected or expired."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from worker.events import EventBatch, Origin, Outcome, Stream


@dataclass(slots=True)
class Counts:
    """One stream's messages of one batch."""

    read: int = 0
    outcomes: Counter[Outcome] = field(default_factory=Counter)
    conflicting_duplicates: int = 0

    def is_balanced(self) -> bool:
        return self.read == sum(self.outcomes.values()) and all(count >= 0 for count in self.outcomes.values())


@dataclass(slots=True)
class Accounting:
    """Counts by stream, for one origin. Conflicting duplicates are among the duplicates: same id, other content."""

    origin: Origin
    streams: dict[Stream, Counts]

    @classmethod
    def of(cls, batch: EventBatch) -> "Accounting":
        """The books opened: what was read, and what the decoder rejected."""
        books = cls(batch.messages.origin, {stream: Counts(len(messages)) for stream, messages in batch.messages.messages.items()})
        books.add(Outcome.REJECTED, Counter(rejected.stream for rejected in batch.rejected))
        return books

    def add(self, outcome: Outcome, counts: Mapping[Stream, int]) -> None:
        for stream, count in counts.items():
            if count:
                self.streams[stream].outcomes[outcome] += count

    def add_conflicting(self, stream: Stream, count: int) -> None:
        if count:
            self.streams[stream].conflicting_duplicates += count

    def read(self, stream: Stream) -> int:
        """Messages of the stream in this batch."""
        return self.streams[stream].read if stream in self.streams else 0

    def total(self, outcome: Outcome) -> int:
        """Messages with that outcome, all streams."""
        return sum(counts.outcomes[outcome] for counts in self.streams.values())

    def check(self) -> None:
        """Assert that nothing was lost and nothing counted twice."""
        for stream, counts in self.streams.items():
            assert counts.is_balanced(), f"{self.origin} {stream}: read {counts.read}, accounted {dict(counts.outcomes)}"
