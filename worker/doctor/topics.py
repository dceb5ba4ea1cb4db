"""The topics: are they there, may we read them, do they keep what is needed, and is the position still in their logs."""

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import NamedTuple

from worker.config import Kafka, Settings, duration_text
from worker.doctor.broker import Configuration, LogFacts, Topic
from worker.doctor.file import FileFacts
from worker.doctor.findings import Finding, counted, ok, problem, skipped, warning
from worker.errors import SourceError
from worker.events import Partition, Stream
from worker.source import Identity
from worker.source.losses import Acceptances, starting_position

_NO_TOPIC_ID = "A" * 22  # 128 zero bits: a broker before Kafka 2.8
_RETENTION_ADVISED = timedelta(days=7)
_AFTER_LATENESS = timedelta(days=2)
_DIMENSIONS = frozenset({Stream.CUSTOMERS, Stream.PRODUCTS})


def topic_findings(settings: Settings, log: LogFacts) -> Iterator[Finding]:
    """Every topic that is read, and those where its rejected messages go."""
    for stream, name in settings.kafka.topics.items():
        topic = log.topics[name]
        if isinstance(topic, str):
            remedy = f"Create it, correct kafka.topics.{stream}, or allow the user Describe and Read on it."
            yield problem("topic", f"{name} can't be read: {topic}", remedy)
            continue
        yield from _readable(name, topic)
        yield configuration_finding(stream, name, topic, settings)
        if settings.kafka.dlq_suffix:
            yield rejected_finding(settings.kafka, name, topic, log)
    if log.may_mirror is False:
        found = f"committed offsets can't be mirrored to the group {settings.kafka.group_id}, so lag tools show nothing"
        yield warning("mirror", found, "Allow Read on the group, if lag tools are used; the worker itself does not need it.")


def _readable(name: str, topic: Topic) -> Iterator[Finding]:
    if topic.id == _NO_TOPIC_ID:
        remedy = "Kafka 2.8 or later is needed: without ids a replaced topic can't be told from the one before."
        yield problem("topic", f"{name}: the broker gives topics no ids", remedy)
    if topic.without_leader:
        numbers = ", ".join(map(str, topic.without_leader))
        yield problem("topic", f"{name}: partitions without a leader: {numbers}", "A broker is down: look at the cluster.")
    if topic.rights is not None and "READ" not in topic.rights:
        yield problem("topic", f"{name}: this user may not read it", "Allow the user Describe and Read on the topic.")
    else:
        yield ok("topic", f"{name}: {counted(topic.partitions, 'partition')}")


def configuration_finding(stream: Stream, name: str, topic: Topic, settings: Settings) -> Finding:
    """How long the topic keeps messages, which it drops, and whose clock dates them."""
    if topic.configuration is None:
        return skipped("topic log", f"{name}: its configuration is not told (the right DescribeConfigs is missing, or it is a mock)")
    if fault := _log_fault(stream, topic.configuration, settings):
        alter = f"kafka-configs --bootstrap-server {settings.kafka.bootstrap_servers} --alter --entity-type topics"
        return warning("topic log", f"{name}: {fault.found}", f"{alter} --entity-name {name} --add-config {fault.add}")
    kept, size = _kept(topic.configuration), int(topic.configuration.get("retention.bytes", -1))
    limit = "" if size < 0 else f", at most {size:,} bytes a partition"
    how_long = "for ever" if kept is None else f"for {duration_text(kept)}"
    return ok("topic log", f"{name}: {_policy(topic.configuration)}, kept {how_long}{limit}")


class _Fault(NamedTuple):
    """What is unwise in a topic's configuration, and the setting that mends it."""

    found: str
    add: str


def _log_fault(stream: Stream, configuration: Configuration, settings: Settings) -> _Fault | None:
    kept, is_compacted = _kept(configuration), "compact" in _policy(configuration)
    advised = max(_RETENTION_ADVISED, settings.time.allowed_lateness + _AFTER_LATENESS)
    if stream in _DIMENSIONS and kept is not None and not is_compacted:
        found = f"dropped after {duration_text(kept)}: a new file, or a replay, does not learn of older {stream}"
        return _Fault(found, "cleanup.policy=compact")
    if stream not in _DIMENSIONS and is_compacted:
        what = "older versions of an order" if stream is Stream.ORDERS else "all touchpoints of a key but the last"
        found = f"compacted: {what} vanish; what was not read in time is lost, and replay and rebuild read less than was written"
        return _Fault(found, "cleanup.policy=delete")
    if stream not in _DIMENSIONS and kept is not None and kept < advised:
        found = f"kept for {duration_text(kept)}: a longer outage loses messages, and replay and rebuild reach back no further"
        return _Fault(found, f"retention.ms={advised // timedelta(milliseconds=1)}")
    if stream is not Stream.TOUCHPOINTS and configuration.get("message.timestamp.type") == "LogAppendTime":
        found = "dated by the broker (LogAppendTime): a tombstone counts from when it came there, and in a copied topic from then"
        return _Fault(found, "message.timestamp.type=CreateTime")
    return None


def _policy(configuration: Configuration) -> str:
    return configuration.get("cleanup.policy", "delete")


def _kept(configuration: Configuration) -> timedelta | None:
    """For how long messages are kept at least; None: for ever."""
    millis = int(configuration.get("retention.ms", -1))
    is_dropped = "delete" in _policy(configuration) and millis >= 0
    return timedelta(milliseconds=min(millis, timedelta.max // timedelta(milliseconds=1))) if is_dropped else None


def rejected_finding(settings: Kafka, name: str, topic: Topic, log: LogFacts) -> Finding:
    """Whether rejected messages of a topic can go where they should."""
    dlq = name + settings.dlq_suffix
    there = log.topics[dlq]
    waiting = "rejected messages wait in the file"
    if isinstance(there, str):
        if log.makes_topics:
            return ok("rejected", f"{dlq} is not there yet; the broker makes it when it is first written to")
        remedy = f"kafka-topics --bootstrap-server {settings.bootstrap_servers} --create --topic {dlq}\nOr set kafka.dlq_suffix to nothing."
        return warning("rejected", f"{dlq} can't be written: {there}; until then {waiting}", remedy)
    if there.rights is not None and "WRITE" not in there.rights:
        return warning("rejected", f"{dlq}: this user may not write there; {waiting}", "Allow Write on the topic.")
    if _largest(there) < _largest(topic):
        found = f"{dlq} takes messages of {_largest(there):,} bytes at most, {name} of {_largest(topic):,}: larger ones stay in the file"
        return warning("rejected", found, f"Raise max.message.bytes of {dlq}, a little beyond that of {name}: headers are added.")
    return ok("rejected", f"{dlq} takes them")


def _largest(topic: Topic) -> int:
    return int((topic.configuration or {}).get("max.message.bytes", 1_048_588))


def position_findings(log: LogFacts, file: FileFacts) -> Iterator[Finding]:
    """Whether the log is still the one that the file's position belongs to. The worker's own rules decide."""
    if not log.bounds:
        yield skipped("position", "no partition could be looked at")
        return
    ids = {name: topic.id for name, topic in log.topics.items() if isinstance(topic, Topic)}
    read = {partition.topic for partition in log.bounds}
    now = Identity(log.cluster_id, {name: topic_id for name, topic_id in ids.items() if name in read})
    try:
        position = starting_position(file.position, file.identity, now, log.bounds, Acceptances())
    except SourceError as error:
        yield problem("position", error.message, error.remedy)
        return
    for name in sorted(read):
        lag = {partition: bound.end - position[partition].offset for partition, bound in log.bounds.items() if partition.topic == name}
        partitions = counted(sum(1 for left in lag.values() if left), "partition")
        behind = f"{sum(lag.values()):,} offsets to read in {partitions}" if sum(lag.values()) else "read to its end"
        yield ok("position", f"{name}: {behind if file.identity else f'nothing read yet, {behind}'}")


_MUCH_OF_RETENTION = 4  # a warning, once less than a quarter is left


def deadline_findings(log: LogFacts, first_unread: Mapping[Partition, datetime], now: datetime) -> Iterator[Finding]:
    """How long until the broker may delete what is not read. first_unread: the time of the first such message of a partition."""
    left: dict[str, tuple[timedelta, timedelta]] = {}
    for partition, written in first_unread.items():
        topic = log.topics[partition.topic]
        kept = _kept(topic.configuration) if isinstance(topic, Topic) and topic.configuration else None
        if kept is not None:
            left[partition.topic] = min((kept - (now - written), kept), left.get(partition.topic, (timedelta.max, kept)))
    for name, (rest, kept) in left.items():
        if rest * _MUCH_OF_RETENTION < kept:
            text = f"in {_hours(rest)}" if rest > timedelta(0) else "at any moment"
            found = f"{name}: what is not read yet may be deleted {text} (kept for {duration_text(kept)})"
            yield warning("position", found, "Start the worker, or find what holds it up; meanwhile raise retention.ms of the topic.")
        else:
            yield ok("position", f"{name}: what is not read yet is kept for {_hours(rest)} at least")


def _hours(duration: timedelta) -> str:
    unit = timedelta(hours=1) if duration > timedelta(days=1) else timedelta(minutes=1)
    return duration_text(max(duration // unit * unit, unit))
