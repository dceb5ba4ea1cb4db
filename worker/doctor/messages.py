"""The last messages of each partition, decoded as the worker would: can they be read, and which schemas do they name."""

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta

import numpy as np
from confluent_kafka import Consumer, KafkaError, TopicPartition

from worker.config import Kafka, Settings
from worker.decode import Decoder, ReportingZone
from worker.decode.columns import PADDING
from worker.decode.framing import SchemaRef, unframe
from worker.decode.registry import schema_source
from worker.decode.schemas import NoSchema, SchemaSource
from worker.doctor.broker import LogFacts
from worker.doctor.file import FileFacts
from worker.doctor.findings import Checks, Finding, counted, ok, problem, warning
from worker.doctor.registry import text_finding
from worker.doctor.topics import deadline_findings
from worker.events import Message, MessageBatch, Partition, Position, Rejected, Stream
from worker.source.broker import Broker
from worker.source.consumer import CHUNK, CONFIRMED, Fetched, consumer_of, told_apart, unreadable
from worker.source.losses import Bounds

LAST = 5  # messages of each partition
_LATEST_MS = 253_402_300_799_000  # the end of the year 9999
SECONDS = 4.0  # of reading; what did not come by then is not looked at


def message_checks(settings: Settings, log: LogFacts, file: FileFacts, now: Callable[[], datetime]) -> Checks[dict[str, timedelta]]:
    """Reads a few messages of each partition and commits nothing. Returns how far each topic's newest message is ahead of the clock."""
    with closing(Broker(settings.kafka)) as broker, closing(consumer_of(settings.kafka, broker)) as consumer:
        last = read(consumer, _last(log.bounds), LAST)
        unread = read(consumer, _first_unread(file.position, log.bounds), 1)
    moment = now()
    first_unread = {partition: time for partition, (message, *_) in unread.items() if (time := _time(message))}
    yield from deadline_findings(log, first_unread, moment)
    messages = {stream: _of_topic(last, name) for stream, name in settings.kafka.topics.items()}
    yield from decoded_findings(settings, messages, schema_source(settings.registry), moment)
    times = {stream: [time for message in of if (time := _time(message))] for stream, of in messages.items()}
    return {settings.kafka.topics[stream]: max(of) - moment for stream, of in times.items() if of}


def named_schemas(settings: Kafka) -> dict[Stream, Counter[SchemaRef]]:
    """The schemas that the last messages name. Raises Unavailable (also where a topic is not there) and SourceError."""
    with closing(Broker(settings)) as broker, closing(consumer_of(settings, broker)) as consumer:
        topics = broker.topics(settings.topics.values(), SECONDS)
        bounds = broker.bounds([Partition(name, number) for name, topic in topics.items() for number in range(topic.partitions)], SECONDS)
        last = read(consumer, _last(bounds), LAST)
    return {stream: refs_of(_of_topic(last, name)) for stream, name in settings.topics.items()}


def _last(bounds: Mapping[Partition, Bounds]) -> dict[Partition, int]:
    """Where the last messages begin, of partitions that have some."""
    return {partition: max(bound.start, bound.end - LAST) for partition, bound in bounds.items() if bound.end > bound.start}


def _of_topic(messages: Mapping[Partition, Sequence[Fetched]], name: str) -> list[Fetched]:
    return [message for partition, of_partition in messages.items() if partition.topic == name for message in of_partition]


def read(consumer: Consumer, starts: Mapping[Partition, int], most: int) -> dict[Partition, list[Fetched]]:
    """Up to so many messages of each partition from its offset on. Raises SourceError where the broker refuses."""
    found: dict[Partition, list[Fetched]] = {}
    missing = set(starts)
    consumer.assign([TopicPartition(*partition, offset) for partition, offset in starts.items()])
    deadline = time.monotonic() + SECONDS
    while missing and time.monotonic() < deadline:
        messages, events = told_apart(consumer.consume(CHUNK, 0.1))
        for message in messages:
            partition = Partition(message.topic(), message.partition())
            of_partition = found.setdefault(partition, [])
            if len(of_partition) < most:
                of_partition.append(message)
        for event in events:
            if event.error.code() != KafkaError._PARTITION_EOF and event.error.code() not in CONFIRMED:
                raise unreadable(event, starts[event.partition])
            missing.discard(event.partition)
        missing -= {partition for partition, of_partition in found.items() if len(of_partition) == most}
    return found


def _first_unread(position: Position, bounds: Mapping[Partition, Bounds]) -> dict[Partition, int]:
    """Where reading would go on, for partitions that have more."""
    return {
        partition: next_offset.offset
        for partition, next_offset in position.items()
        if partition in bounds and bounds[partition].start <= next_offset.offset < bounds[partition].end
    }


def _time(message: Message) -> datetime | None:
    """By the broker's or the producer's clock, as the topic is configured."""
    kind, millis = message.timestamp()
    return datetime.fromtimestamp(min(max(millis, 0), _LATEST_MS) / 1000, UTC) if kind else None


def decoded_findings(
    settings: Settings, messages: Mapping[Stream, Sequence[Message]], schemas: SchemaSource, now: datetime
) -> Iterator[Finding]:
    """What the worker would make of the messages, and the verdict on each schema that they name."""
    zone = ReportingZone(settings.time.reporting_time_zone)
    decoder = Decoder(schemas, zone, settings.time.future_guard, settings.kafka.topics)
    for stream, of_stream in messages.items():
        name = settings.kafka.topics[stream]
        if not of_stream:
            yield ok("messages", f"{name}: there are none yet")
            continue
        decoded = decoder.decode(MessageBatch({stream: of_stream}), now)
        yield outcome_finding(name, len(of_stream), decoded.rejected)
        if orders := decoded.events.get(Stream.ORDERS):
            yield currency_finding(name, Counter(orders["currency"].to_pylist()), settings.reporting_currency)
        for ref, count in refs_of(of_stream).items():
            text = schemas.text(ref)
            if not isinstance(text, NoSchema):  # else its messages are rejected: that is told
                yield text_finding(f"id {ref}, named by {counted(count, 'message')} of {name}", stream, text)


def outcome_finding(name: str, count: int, rejected: Sequence[Rejected]) -> Finding:
    """Whether the messages can be read."""
    looked_at = f"{name}: of the last {counted(count, 'message')}"
    if not rejected:
        return ok("messages", f"{looked_at} all can be read")
    reasons = Counter(each.reason for each in rejected)
    found = f"{looked_at} {len(rejected)} would be rejected: {', '.join(f'{n} {reason}' for reason, n in reasons.most_common())}"
    detail = f"{found}; the first: partition {rejected[0].partition} offset {rejected[0].offset}: {rejected[0].detail}"
    if 2 * len(rejected) > count:
        remedy = "Is it the right topic, and do registry.url or registry.files hold its schemas?"
        return problem("messages", detail, f"{remedy} Where most are rejected the worker stops (exit code 6).")
    return warning("messages", detail, "They are kept in the table rejected: mend their producer, or the schema, then tidemark dlq replay.")


def currency_finding(name: str, orders: Mapping[str, int], reporting: str) -> Finding:
    """Whether the reporting currency is one that the shop sells in. `orders`: how many are in each currency."""
    total = sum(orders.values())
    if count := orders.get(reporting):
        return ok("currency", f"{name}: {count} of the last {total} {'is' if count == 1 else 'are'} in {reporting}")
    others = ", ".join(f"{number} {currency}" for currency, number in orders.items())
    return warning(
        "currency",
        f"{name}: of the last {total} none is in {reporting}, but {others}",
        "Money of customers and marts is that of orders in reporting_currency alone. It is fixed when the file is created.",
    )


def refs_of(messages: Sequence[Message]) -> Counter[SchemaRef]:
    """How many of the messages name each schema."""
    filled = [(message, value) for message in messages if (value := message.value())]
    sizes = np.array([len(value) for _, value in filled], np.int64)
    frames = unframe([message for message, _ in filled], [value for _, value in filled], sizes, PADDING)
    return Counter({bodies.ref: len(bodies.rows) for bodies in frames.bodies})
