"""What a replay reads, decided once: a user's request, the log as it is and the stored position become plain data."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, Protocol

from worker.config.settings import did_you_mean
from worker.decode.calendar import micros
from worker.errors import ConfigError
from worker.events import Partition, Position
from worker.source import Identity
from worker.source.broker import Topic
from worker.source.losses import Bounds, name
from worker.source.ranges import Range, check_held, check_identity

PLAN_COLUMNS = ("partition", "from", "to", "messages at most", "note")
QUESTION_SECONDS = 5.0  # for each question to the broker


class Log(Protocol):
    """What a plan needs to know of the log (source.broker.Broker tells it)."""

    def cluster_id(self, timeout: float) -> str: ...
    def topics(self, names: Iterable[str], timeout: float) -> Mapping[str, Topic]: ...
    def bounds(self, partitions: Iterable[Partition], timeout: float) -> Mapping[Partition, Bounds]: ...
    def offsets_at(self, timestamp_ms: int, partitions: Iterable[Partition], timeout: float) -> Mapping[Partition, int]: ...


@dataclass(frozen=True, slots=True)
class ReplayRequest:
    """What a user asks for. No topics: all; no partitions: all of the topic.

    `first` and `end` are offsets (`end` is not read), `since` and `until` message timestamps with a time zone (`until` is not read).
    Without `first` and `since` it begins at the log's start, without `end` and `until` it ends at the stored position.
    """

    topics: tuple[str, ...] = ()
    partitions: tuple[int, ...] = ()
    first: int | None = None
    end: int | None = None
    since: datetime | None = None
    until: datetime | None = None

    def faults(self, configured: Collection[str]) -> Iterator[str]:
        """What is wrong with it, where these topics are configured."""
        for topic in self.topics:
            if topic not in configured:
                yield f"--topic {topic}: not among kafka.topics ({', '.join(sorted(configured))}){did_you_mean(topic, configured)}"
        if self.partitions and len(self.topics) != 1:
            yield "--partition: needs one --topic that it is a partition of"
        if (self.first is not None or self.end is not None) and len(self.topics) != 1:
            yield "--from, --to: needs one --topic whose offsets these are"
        if self.first is not None and self.since is not None:
            yield "--from, --since: give one of them"
        if self.end is not None and self.until is not None:
            yield "--to, --until: give one of them"
        if self.first is not None and self.first < 0:
            yield f"--from {self.first}: an offset is 0 or more"
        if self.end is not None and self.end <= (self.first or 0):
            yield f"--to {self.end}: nothing lies between --from and --to, which is not read itself"
        if self.since is not None and self.until is not None and self.until <= self.since:
            yield f"--until {self.until.isoformat()}: nothing lies between --since and --until, which is not read itself"


class PlannedRange(NamedTuple):
    """A range, which may be empty, and what a person should know of it."""

    partition: Partition
    range: Range
    note: str = ""


@dataclass(frozen=True, slots=True)
class ReplayPlan:
    """Which offsets are read, and of which incarnation of the topics they are."""

    identity: Identity
    ranges: tuple[PlannedRange, ...]

    @property
    def total(self) -> int:
        """Offsets in all ranges: so many messages at most."""
        return sum(planned.range.size for planned in self.ranges)

    def rows(self) -> list[tuple[str, int, int, int, str]]:
        """For people, with PLAN_COLUMNS as the header."""
        return [(name(partition), asked.first, asked.end, asked.size, note) for partition, asked, note in self.ranges]

    def left(self, resume_point: Mapping[str, int] | None = None) -> dict[Partition, Range]:
        """What is to be read still, from `resume_point` ("topic/partition": next offset) on; empty ranges are left out."""
        resumed = {
            partition: Range((resume_point or {}).get(name(partition), asked.first), asked.end) for partition, asked, _ in self.ranges
        }
        return {partition: asked for partition, asked in resumed.items() if asked.size > 0}

    def as_json(self) -> dict[str, Any]:
        """What JSON has; from_json() makes the same plan of it."""
        return {
            "cluster_id": self.identity.cluster_id,
            "topic_ids": dict(self.identity.topic_ids),
            "ranges": [
                {"topic": partition.topic, "partition": partition.number, "first": asked.first, "end": asked.end, "note": note}
                for partition, asked, note in self.ranges
            ],
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> "ReplayPlan":
        """The plan that as_json() told."""
        ranges = (
            PlannedRange(Partition(each["topic"], each["partition"]), Range(each["first"], each["end"]), each["note"])
            for each in plain["ranges"]
        )
        return cls(Identity(plain["cluster_id"], plain["topic_ids"]), tuple(ranges))


def moment(text: str) -> datetime:
    """An ISO 8601 date or time; without a zone it is UTC. Raises ConfigError."""
    try:
        told = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(f"{text!r} is no time", "Write it as 2026-03-05, 2026-03-05T14:30 (UTC) or 2026-03-05T14:30+01:00.") from None
    return told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)


def plan_replay(request: ReplayRequest, log: Log, position: Position, identity: Identity, configured: Collection[str]) -> ReplayPlan:
    """What `request` means in the log as it is now.

    `position` and `identity` are the stored ones: what lies past the position is the live stream's. `configured`: the topics that are read.
    Raises ConfigError with all faults of the request, SourceError where the log is another one or has not all that was asked for,
    Unavailable.
    """
    if faults := list(request.faults(configured)):
        raise ConfigError("\n".join(faults))
    told = log.topics(request.topics or sorted(configured), QUESTION_SECONDS)
    now = Identity(log.cluster_id(QUESTION_SECONDS), {topic: each.id for topic, each in told.items()})
    check_identity(identity, now)
    partitions = _partitions(request, told)
    bounds = log.bounds(partitions, QUESTION_SECONDS)
    firsts, ends = _firsts(request, log, bounds), _ends(request, log, partitions)
    next_offsets = {partition: after.offset for partition, after in position.items()}
    plan = ReplayPlan(
        now, tuple(_planned(p, firsts[p], ends.get(p), next_offsets.get(p), _note(request, firsts[p], bounds[p])) for p in partitions)
    )
    check_held(plan.left(), bounds)
    return plan


def _partitions(request: ReplayRequest, told: Mapping[str, Topic]) -> list[Partition]:
    for topic, each in told.items():
        if missing := [str(number) for number in request.partitions if not 0 <= number < each.partitions]:
            raise ConfigError(f"--partition {', '.join(missing)}: {topic} has the partitions 0 to {each.partitions - 1}")
    return [
        Partition(topic, number)
        for topic, each in sorted(told.items())
        for number in sorted(set(request.partitions)) or range(each.partitions)
    ]


def _firsts(request: ReplayRequest, log: Log, bounds: Mapping[Partition, Bounds]) -> dict[Partition, int]:
    if request.since is None:
        return {partition: bound.start if request.first is None else request.first for partition, bound in bounds.items()}
    found = log.offsets_at(_millis(request.since), bounds, QUESTION_SECONDS)
    return {partition: found.get(partition, bound.end) for partition, bound in bounds.items()}


def _ends(request: ReplayRequest, log: Log, partitions: Sequence[Partition]) -> Mapping[Partition, int]:
    """Where reading is asked to end; a partition that is left out is read to its position."""
    if request.until is not None:
        return log.offsets_at(_millis(request.until), partitions, QUESTION_SECONDS)
    return {} if request.end is None else dict.fromkeys(partitions, request.end)


def _note(request: ReplayRequest, first: int, bound: Bounds) -> str:
    if request.since is not None and first == bound.start > 0:
        return "the log starts here: what was deleted may have been of that time too"
    return ""


def _planned(partition: Partition, first: int, end: int | None, next_offset: int | None, note: str) -> PlannedRange:
    """The range without what is the live stream's to read: all from the position on."""
    if next_offset is None:
        return PlannedRange(partition, Range(first, first), "empty: the live stream has not read this partition yet")
    limit = next_offset if end is None else min(end, next_offset)
    if first >= next_offset:
        note = f"empty: the live stream reads on from {next_offset:,}"
    elif first >= limit:
        note = f"empty: from {first:,} on there is nothing before {limit:,}"
    elif end is not None and end > next_offset:
        note = "; ".join(filter(None, [note, f"not to {end:,}: the live stream reads on from {next_offset:,}"]))
    return PlannedRange(partition, Range(first, max(first, limit)), note)


def _millis(at: datetime) -> int:
    """Milliseconds since the epoch; a fraction of one counts as the next."""
    return -(-micros(at) // 1000)
