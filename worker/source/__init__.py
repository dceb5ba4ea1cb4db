"""Where messages come from. `Source` is what the pipeline needs of Kafka, of an archive, and of a test's fake."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from worker.events import MessageBatch, Partition, Position, Stream

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Identity:
    """Which cluster and which incarnation of each topic the offsets belong to. The mock cluster has no topic ids: "unknown"."""

    cluster_id: str
    topic_ids: Mapping[str, str] = field(default_factory=dict)


class Source(Protocol):
    """A log of messages per stream, read from a position on.

    All methods raise Unavailable while the log is away (call again later; nothing is lost), and SourceError when going on would
    guess, repeat or lose: a replaced topic or cluster, an offset that is gone or past the end, access refused.
    """

    def start(self, position: Position, identity: Identity | None) -> Identity:
        """Check that the log is the one that `position` belongs to, and read from there on.

        A partition that is not in `position` is read from its beginning. `identity` is the one stored with the position, None for
        a new file. Returns the log's identity now, to be stored with the next commit.
        """
        ...

    def poll(self, max_messages: int, max_wait: float) -> MessageBatch:
        """Up to `max_messages` messages, waiting at most `max_wait` seconds (at most 0.5) for them; may be empty.

        While behind, a poll may go on for some seconds to fill the batch, as long as messages keep coming.
        """
        ...

    def topics(self) -> Mapping[Stream, str]:
        """The topic of each stream that is read."""
        ...

    def partitions(self) -> frozenset[Partition]:
        """All partitions that are read now, whether or not anything came from them yet. May be asked from another thread."""
        ...

    def mirror(self, position: Position) -> None:
        """Tell the broker the committed position, for lag tools. Best effort: never raises, never waits."""
        ...

    def close(self) -> None:
        """Let go of the log. May be called twice."""
        ...
