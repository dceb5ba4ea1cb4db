"""The ranges that days are rebuilt from, or why the log can't give them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from worker.errors import SourceError
from worker.events import Partition
from worker.replay.plan import QUESTION_SECONDS, Log, PlannedRange, ReplayPlan
from worker.source import UNKNOWN, Identity
from worker.source.losses import Bounds, name
from worker.source.ranges import FROM_AN_ARCHIVE, Range, check_identity


class DayOffset(NamedTuple):
    """A row of table day_offset: which offsets fed a day. `partition` is -1 where files without offsets did."""

    day: date
    topic: str
    topic_id: str
    partition: int
    first_offset: int
    last_offset: int


def plan_rebuild(fed_by: Sequence[DayOffset], log: Log, identity: Identity, configured: Collection[str]) -> ReplayPlan:
    """The ranges that hold all events of the days of these rows (and others' events between them).

    Raises SourceError, listing every day of which the log can't give all and why; Unavailable.
    """
    told = log.topics(sorted({row.topic for row in fed_by} & set(configured)), QUESTION_SECONDS)
    now = Identity(log.cluster_id(QUESTION_SECONDS), {topic: each.id for topic, each in told.items()})
    check_identity(Identity(identity.cluster_id), now)
    same = [row for row in fed_by if row.partition >= 0 and now.topic_ids.get(row.topic) == row.topic_id]
    bounds = log.bounds(sorted({Partition(row.topic, row.partition) for row in same}), QUESTION_SECONDS)
    faults = [(row.day, fault) for row in sorted(fed_by) if (fault := _rebuild_fault(row, now, bounds))]
    if faults:
        raise _not_rebuilt(faults, {row.day for row in fed_by})
    ranges = []
    for partition in sorted(bounds):
        rows = [row for row in same if (row.topic, row.partition) == partition]
        ranges.append(PlannedRange(partition, Range(min(row.first_offset for row in rows), max(row.last_offset for row in rows) + 1)))
    return ReplayPlan(now, tuple(ranges))


def _rebuild_fault(row: DayOffset, now: Identity, bounds: Mapping[Partition, Bounds]) -> str:
    """Why the log can't give what fed a day; empty where it can."""
    if row.partition < 0:
        return f"was fed by files without offsets, of {row.topic}"
    if row.topic not in now.topic_ids:
        return f"was fed by {row.topic}, which is not among kafka.topics any more"
    if row.topic_id == UNKNOWN != now.topic_ids[row.topic]:
        return f"was fed by files with offsets of {row.topic} when its topic id was not known yet: they may be another's of that name"
    if row.topic_id != now.topic_ids[row.topic]:
        return f"was fed by {row.topic} when its topic id was {row.topic_id}; it was replaced, the broker has {now.topic_ids[row.topic]}"
    partition = Partition(row.topic, row.partition)
    start, log_end = bounds[partition]
    if row.first_offset < start:
        return f"needs {name(partition)} from offset {row.first_offset:,} on, the log starts at {start:,}"
    if row.last_offset >= log_end:
        return f"needs {name(partition)} up to offset {row.last_offset:,}, the log ends before {log_end:,}: it was cut or restored"
    return ""


def _not_rebuilt(faults: Sequence[tuple[date, str]], days: Collection[date]) -> SourceError:
    lost = {day for day, _ in faults}
    remedies = [FROM_AN_ARCHIVE]
    if held := sorted(set(days) - lost):
        remedies.append(f"Days that the log has whole, for --rebuild-days:  {', '.join(map(str, held))}")
    lines = [f"{day} {fault}" for day, fault in faults]
    return SourceError("\n".join([f"{len(lost)} of {len(days)} days can't be rebuilt from the log:", *lines]), "\n".join(remedies))
