"""What is asked of the broker beside messages: which topics there are, where their logs begin and end."""

from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import closing, suppress
from typing import Any, NamedTuple

from confluent_kafka import OFFSET_INVALID, KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]

from worker import config
from worker.errors import SourceError, TidemarkError, Unavailable
from worker.events import Partition, Position
from worker.source import UNKNOWN
from worker.source.client import REFUSALS, create
from worker.source.losses import Bounds, name
from worker.source.mirror import Mirror

METADATA_SECONDS = 1.0  # for the brokers and leaders that there are
REFUSALS_BELIEVED = 3  # a broker that is starting may not know its users yet
_NO_ID = "A" * 22  # 128 zero bits


class Topic(NamedTuple):
    """A topic as the broker knows it now. leaderless: of its partitions those that nobody can read or write for now."""

    id: str
    partitions: int
    leaderless: Sequence[int] = ()


class Broker:
    """Questions, each answered within `timeout` seconds; else Unavailable, or SourceError where the broker refuses."""

    def __init__(self, settings: config.Kafka) -> None:
        self._address = settings.bootstrap_servers
        self._admin = create(AdminClient, settings, {"error_cb": self.note})
        self._refusals: list[str] = []
        self._mirror = Mirror(settings)

    def cluster_id(self, timeout: float) -> str:
        """The cluster's id. The client remembers it, so only the first question takes time."""
        cluster_id = None
        with suppress(KafkaException):  # its text blames the broker's version
            cluster_id = self._admin.cluster_id(timeout=timeout)
        if not cluster_id:
            raise self._trouble(KafkaError(KafkaError._TIMED_OUT), "its cluster")
        return cluster_id

    def topics(self, names: Iterable[str], timeout: float) -> dict[str, Topic]:
        """The topics as they are now. Unavailable names one that does not exist."""
        if self.cluster_id(timeout).startswith("mockCluster"):
            return {name: self._mock_topic(name, timeout) for name in names}
        futures = self._admin.describe_topics(TopicCollection(list(names)), request_timeout=timeout)
        try:
            told = {name: self._answer(future, f"topic {name}") for name, future in futures.items()}
        except Unavailable:
            # Asked is the one broker that the client takes for the controller; that this has gone it learns from metadata alone.
            with suppress(KafkaException):
                self._admin.list_topics(timeout=min(timeout, METADATA_SECONDS))
            raise
        self._refusals.clear()
        if nameless := [name for name, topic in told.items() if str(topic.topic_id) == _NO_ID]:
            raise SourceError(
                f"the broker at {self._address} gives topics no ids ({', '.join(nameless)})",
                "Without them a replaced topic can't be told from the one before: Kafka 2.8 or later is needed.",
            )
        return {
            name: Topic(str(topic.topic_id), len(topic.partitions), [each.id for each in topic.partitions if each.leader is None])
            for name, topic in told.items()
        }

    def bounds(self, partitions: Iterable[Partition], timeout: float) -> dict[Partition, Bounds]:
        """Where the partitions' logs begin and end now."""
        asked = list(partitions)
        starts = self._ask(asked, OffsetSpec.earliest(), timeout)  # type: ignore[no-untyped-call]
        ends = self._ask(asked, OffsetSpec.latest(), timeout)  # type: ignore[no-untyped-call]
        return {partition: Bounds(self._offset(partition, starts), self._offset(partition, ends)) for partition in asked}

    def offsets_at(self, timestamp_ms: int, partitions: Iterable[Partition], timeout: float) -> dict[Partition, int]:
        """The first offset of each partition whose message has that timestamp or a later one; a partition without one is left out.

        The mock cluster has no index of timestamps: there, none is found.
        """
        futures = self._ask(list(partitions), OffsetSpec.for_timestamp(timestamp_ms), timeout)
        found = {partition: self._offset(partition, futures) for partition in futures}
        return {partition: offset for partition, offset in found.items() if offset >= 0}

    def mirror(self, position: Position) -> None:
        """Have `position` told to the group's coordinator at the next `mirror_on`. From any thread; never raises, never waits."""
        self._mirror.want(position)

    def mirror_on(self) -> None:
        """Send what is to be mirrored, unless a request is on its way still or has failed just now."""
        self._mirror.send()

    def note(self, error: KafkaError) -> None:
        """Remember a refused log-in: clients tell it to their error callback alone."""
        # A connection lost in the middle of a log-in is told as a refusal too, with a reason of this side.
        if error.code() in REFUSALS and ": Local: " not in error.str():
            self._refusals.append(error.str())

    def close(self) -> None:
        """Finish the mirror if the broker answers within two seconds."""
        self._mirror.close()

    def _mock_topic(self, topic: str, timeout: float) -> Topic:
        """Of librdkafka's mock cluster, which does not know the request for topic ids."""
        try:
            told = self._admin.list_topics(topic=topic, timeout=timeout).topics[topic]
        except KafkaException as error:
            raise self._trouble(error.args[0], f"topic {topic}") from None
        if told.error is not None:
            raise self._trouble(told.error, f"topic {topic}")
        return Topic(UNKNOWN, len(told.partitions))

    def _ask(self, partitions: Sequence[Partition], spec: OffsetSpec, timeout: float) -> dict[Partition, "Future[Any]"]:
        """What the broker will answer of each partition's offset for `spec`."""
        if not partitions:
            return {}
        asked = {partition: TopicPartition(*partition) for partition in partitions}
        futures = self._admin.list_offsets(dict.fromkeys(asked.values(), spec), request_timeout=timeout)
        return {partition: futures[key] for partition, key in asked.items()}

    def _offset(self, partition: Partition, futures: Mapping[Partition, "Future[Any]"]) -> int:
        offset: int = self._answer(futures[partition], f"partition {name(partition)}").offset
        if offset == OFFSET_INVALID:  # while its leader is away, with no error
            raise self._trouble(KafkaError(KafkaError.LEADER_NOT_AVAILABLE), f"partition {name(partition)}")
        return offset

    def _answer(self, future: "Future[Any]", what: str) -> Any:
        try:
            return future.result()  # ends by the request's own timeout
        except KafkaException as error:
            raise self._trouble(error.args[0], what) from None

    def _trouble(self, error: KafkaError, what: str) -> TidemarkError:
        self._admin.poll(0)  # hears of refused log-ins
        if error.code() in REFUSALS:
            return refused(what, error.str())
        if len(self._refusals) >= REFUSALS_BELIEVED:
            return refused(what, self._refusals[-1])
        if error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return Unavailable(
                f"{what} does not exist on the broker at {self._address}", "It is waited for: create it, or correct kafka.topics."
            )
        return Unavailable(f"the broker at {self._address} did not tell of {what}: {error.str()}", "It is waited for.")


def topic_ids(settings: config.Kafka, topics: Iterable[str], timeout: float) -> dict[str, str]:
    """The ids of those topics that the broker tells of within `timeout` seconds; none where it is away. Raises ConfigError."""
    told: dict[str, str] = {}
    with closing(Broker(settings)) as broker, suppress(Unavailable, SourceError):
        broker.cluster_id(timeout)
        for topic in topics:
            with suppress(Unavailable, SourceError):
                told[topic] = broker.topics([topic], timeout)[topic].id
    return told


def refused(what: str, why: str) -> SourceError:
    """Access was refused: waiting does not help."""
    return SourceError(
        f"the broker refuses access to {what}: {why}",
        "Check sasl.* and ssl.* in kafka.options and kafka.secrets, and the user's rights: Describe and Read on the topics.",
    )
