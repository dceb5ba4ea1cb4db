"""Where a job's events come from: a range of the log, files, messages that were kept."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from worker.events import EventBatch


@dataclass(frozen=True, slots=True)
class Portion:
    """One batch of a feed. `resume_point` (what JSON has) is where the feed goes on after it; `done`: messages or rows until then.

    `topic_ids`: those of the topics whose offsets the batch has, where they may be others than the file's.
    """

    batch: EventBatch
    resume_point: Mapping[str, Any]
    done: int
    topic_ids: Mapping[str, str] = field(default_factory=dict)


class Feed(Protocol):
    """A bounded supply of decoded batches, made from its resume point on. Used from one thread."""

    @property
    def total(self) -> int | None:
        """Messages or rows from the beginning of the job to its end; None where nobody knows."""
        ...

    def next(self, now: datetime) -> Portion | None:
        """The next batch; None at the end. Raises Unavailable (call again; nothing is lost), Fatal."""
        ...

    def close(self) -> None:
        """Let go of the log or the files. May be called twice."""
        ...
