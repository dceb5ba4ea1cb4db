"""Whether a log is still the one that a position belongs to: decided from plain data, so that it can be tested without a broker."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from worker.errors import SourceError
from worker.events import NextOffset, Partition, Position
from worker.source import Identity


class Bounds(NamedTuple):
    """The first offset that a partition's log still has, and the one after its last."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Acceptances:
    """The losses that the user accepts: topics or the cluster read anew from the beginning, offsets that are gone left out."""

    replaced_topics: frozenset[str] = frozenset()
    lost_offsets: frozenset[str] = frozenset()
    replaced_cluster: bool = False


def starting_position(
    position: Position, stored: Identity | None, now: Identity, bounds: Mapping[Partition, Bounds], accept: Acceptances
) -> dict[Partition, NextOffset]:
    """Where to read on, for each partition of `bounds`: at its position, or at the log's start if it has none or its loss is accepted.

    Raises SourceError, naming all that is not as it was and not accepted: another cluster, replaced topics, lost offsets.
    """
    replaced = _replaced_topics(stored, now)
    kept = {
        partition: next_offset for partition, next_offset in position.items() if partition in bounds and partition.topic not in replaced
    }
    lost = {partition for partition, next_offset in kept.items() if not _has(bounds[partition], next_offset.offset)}
    faults = dict(_identity_faults(position, stored, now, bounds, accept))
    for partition in sorted(lost):
        if partition.topic not in accept.lost_offsets:
            faults[_lost(partition, position[partition].offset, bounds[partition])] = f"--accept-lost-offsets {partition.topic}"
    if faults:
        raise loss(faults)
    at_start = {partition: NextOffset(bound.start) for partition, bound in bounds.items()}
    # Where lost offsets are accepted there is no leader epoch either, by which librdkafka would find the log truncated.
    read_on = {
        partition: NextOffset(next_offset.offset) if partition.topic in accept.lost_offsets else next_offset
        for partition, next_offset in kept.items()
        if partition not in lost
    }
    return at_start | read_on


def loss(faults: Mapping[str, str]) -> SourceError:
    """The error for `faults`, each with the flag that accepts it."""
    flags = " ".join(dict.fromkeys(faults.values()))
    return SourceError(
        "\n".join(faults),
        "Nothing was read past this.\n"
        f"To accept the loss and read from the log's beginning:  tidemark run {flags}\n"
        "What is gone, from an archive:                         tidemark backfill --from-archive DIR",
    )


def name(partition: Partition) -> str:
    """A partition as messages for people write it."""
    return f"{partition.topic}/{partition.number}"


def _replaced_topics(stored: Identity | None, now: Identity) -> frozenset[str]:
    """Those of which nothing that is stored is true any more; of another cluster, all."""
    if stored is None:
        return frozenset()
    if stored.cluster_id != now.cluster_id:
        return frozenset(now.topic_ids)
    return frozenset(topic for topic, topic_id in now.topic_ids.items() if stored.topic_ids.get(topic, topic_id) != topic_id)


def _identity_faults(
    position: Position, stored: Identity | None, now: Identity, bounds: Mapping[Partition, Bounds], accept: Acceptances
) -> Iterator[tuple[str, str]]:
    """What is not accepted of another cluster or of replaced topics, and the flag that accepts it."""
    if stored is None:
        return
    if stored.cluster_id != now.cluster_id:
        if not accept.replaced_cluster:
            text = f"this is another cluster: stored cluster id {stored.cluster_id}, the broker says {now.cluster_id}"
            yield text, "--accept-replaced-cluster"
        return
    for topic in sorted(_replaced_topics(stored, now) - accept.replaced_topics):
        yield _replaced(topic, stored, now, position, bounds), f"--accept-replaced-topic {topic}"


def _has(bound: Bounds, offset: int) -> bool:
    return bound.start <= offset <= bound.end


def _replaced(topic: str, stored: Identity, now: Identity, position: Position, bounds: Mapping[Partition, Bounds]) -> str:
    offset = sum(next_offset.offset for partition, next_offset in position.items() if partition.topic == topic)
    log_end = sum(bound.end for partition, bound in bounds.items() if partition.topic == topic)
    return (
        f"topic {topic} was replaced: stored topic id {stored.topic_ids[topic]} at offset {offset:,}, "
        f"the broker has {now.topic_ids[topic]} with log end {log_end:,} (offsets summed over partitions)"
    )


def _lost(partition: Partition, offset: int, bound: Bounds) -> str:
    if offset > bound.end:
        return f"partition {name(partition)}: the next offset {offset:,} is past the log's end, {bound.end:,}: the log was cut or restored"
    return (
        f"partition {name(partition)}: the next offset {offset:,} is gone, the log starts at {bound.start:,}: "
        f"{bound.start - offset:,} offsets were deleted before they were read"
    )
