"""The broker: can it be reached, at the addresses that it gives too, and what does it say of the topics."""

import socket
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from confluent_kafka import KafkaError, KafkaException, TopicCollection
from confluent_kafka.admin import AclOperation, AdminClient, ConfigResource  # type: ignore[attr-defined]

from worker.config import Kafka
from worker.doctor.findings import Checks, Finding, Level, ok, problem, warning
from worker.errors import Unavailable
from worker.events import Partition
from worker.source import UNKNOWN
from worker.source.broker import Broker
from worker.source.client import create
from worker.source.losses import Bounds
from worker.source.mirror import LONGEST_TIMEOUT

SECONDS = 5.0  # for each question
_CONNECT_SECONDS = 2.0
_MOCK = "mockCluster"

Configuration: TypeAlias = Mapping[str, str]
Connect: TypeAlias = Callable[[str, int], str | None]  # why host:port can't be connected to


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic as the broker knows it. rights: what we may do with it; configuration: its settings; None: not told."""

    id: str
    partitions: int
    without_leader: tuple[int, ...] = ()
    rights: frozenset[str] | None = None
    configuration: Configuration | None = None


@dataclass(frozen=True, slots=True)
class LogFacts:
    """What the broker says. topics: also those of rejected messages; of one that it can't tell of, why. None: not told.

    makes_topics: one that is missing comes into being when it is first written to. may_mirror: offsets may be committed for our group.
    """

    cluster_id: str
    topics: Mapping[str, Topic | str]
    bounds: Mapping[Partition, Bounds] = field(default_factory=dict)
    makes_topics: bool | None = None
    may_mirror: bool | None = None


def broker_checks(settings: Kafka) -> Checks[LogFacts | None]:
    """Reaches the broker and asks it for all that later checks need. Makes no topic, commits nothing."""
    servers = list(server_findings(addresses(settings.bootstrap_servers), connection_fault))
    yield from servers
    if any(finding.level is Level.PROBLEM for finding in servers):
        return None
    with closing(Broker(settings)) as broker:
        cluster_id = _cluster_id(broker)
        if cluster_id.startswith(_MOCK):
            remedy = "Use it for tests alone."
            yield warning("broker", f"{cluster_id} is librdkafka's mock cluster: it forgets, and gives topics no ids", remedy)
            topics: dict[str, Topic | str] = {
                name: Topic(UNKNOWN, told.partitions) for name, told in broker.topics(_names(settings), SECONDS).items()
            }
            return LogFacts(cluster_id, topics, _bounds(broker, settings, topics))
        yield ok("broker", f"cluster {cluster_id} answers")
        probe = _Admin(settings)
        yield from advertised_findings(probe.nodes, connection_fault)
        topics = probe.topics(_names(settings))
        return LogFacts(cluster_id, topics, _bounds(broker, settings, topics), probe.makes_topics(), probe.may_mirror(settings.group_id))


def _cluster_id(broker: Broker) -> str:
    try:
        return broker.cluster_id(SECONDS)
    except Unavailable as error:
        remedy = "It takes connections, but does not answer as Kafka: check security.protocol, ssl.* and sasl.* in kafka.options."
        raise Unavailable(error.message, remedy) from None


def _bounds(broker: Broker, settings: Kafka, topics: Mapping[str, Topic | str]) -> dict[Partition, Bounds]:
    read = {name: topic for name, topic in topics.items() if name in settings.topics.values() and isinstance(topic, Topic)}
    partitions = {Partition(name, number) for name, topic in read.items() for number in range(topic.partitions)}
    return broker.bounds(partitions - {Partition(name, number) for name, topic in read.items() for number in topic.without_leader}, SECONDS)


def _names(settings: Kafka) -> list[str]:
    own = list(settings.topics.values())
    return own + ([name + settings.dlq_suffix for name in own] if settings.dlq_suffix else [])


def addresses(servers: str) -> list[tuple[str, int]]:
    """(host, port) of each server of a list."""
    parts = [server.strip().rpartition(":") for server in servers.split(",")]
    return [(host.strip("[]"), int(port)) for host, _, port in parts]


def connection_fault(host: str, port: int) -> str | None:
    """Why nobody takes a connection there, if so."""
    try:
        socket.create_connection((host, port), _CONNECT_SECONDS).close()
    except TimeoutError:
        return f"no answer within {_CONNECT_SECONDS:g} s"
    except OSError as error:
        return error.strerror or str(error)
    return None


def server_findings(servers: Iterable[tuple[str, int]], connect: Connect) -> Iterator[Finding]:
    """Whether one can connect to the configured servers; one of them is enough."""
    faults = {f"{host}:{port}": connect(host, port) for host, port in servers}
    away = "; ".join(f"{server}: {fault}" for server, fault in faults.items() if fault)
    if all(faults.values()):
        remedy = "Is the broker up, kafka.bootstrap_servers right, the port open in the firewall? The worker waits for it."
        yield problem("broker", f"no connection: {away}", remedy)
    elif away:
        yield warning("broker", f"not all servers can be reached: {away}", "Mend or remove them: kafka.bootstrap_servers.")
    else:
        yield ok("broker", f"{', '.join(faults)} can be reached")


def advertised_findings(nodes: Iterable[tuple[str, int]], connect: Connect) -> Iterator[Finding]:
    """Partitions are read from the addresses that the brokers themselves give, whatever the configured ones are."""
    faults = [f"{host}:{port}: {fault}" for host, port in nodes if (fault := connect(host, port))]
    if faults:
        remedy = "The brokers give these addresses (advertised.listeners): make them reachable from here, or have them give others."
        yield problem("broker", f"it names addresses that can't be reached: {'; '.join(faults)}", remedy)


class _Admin:
    """What only the doctor asks. What may not be asked stays unknown."""

    def __init__(self, settings: Kafka) -> None:
        self._client = create(AdminClient, settings, {})
        self._node_ids: list[str] = []
        self.nodes: list[tuple[str, int]] = []
        with suppress(KafkaException):
            nodes = self._client.describe_cluster(request_timeout=SECONDS).result().nodes
            self.nodes, self._node_ids = [(node.host, node.port) for node in nodes], [node.id_string for node in nodes]

    def topics(self, names: Sequence[str]) -> dict[str, Topic | str]:
        described = self._client.describe_topics(TopicCollection(list(names)), include_authorized_operations=True, request_timeout=SECONDS)
        topics: dict[str, Topic | str] = {}
        for name, future in described.items():
            try:
                topics[name] = _topic(future.result(), self._configuration(ConfigResource.Type.TOPIC, name))
            except KafkaException as error:
                topics[name] = error.args[0].str()
        return topics

    def makes_topics(self) -> bool | None:
        broker = self._configuration(ConfigResource.Type.BROKER, self._node_ids[0]) if self._node_ids else None
        return None if broker is None else broker.get("auto.create.topics.enable") == "true"

    def may_mirror(self, group_id: str) -> bool | None:
        """To be asked last: a request to the group's coordinator must not time out within librdkafka (see Mirror), so it is given up here,
        and the client is to be thrown away with it."""
        asked = self._client.describe_consumer_groups([group_id], include_authorized_operations=True, request_timeout=LONGEST_TIMEOUT)
        try:
            return "READ" in (_rights(asked[group_id].result(SECONDS).authorized_operations) or {"READ"})
        except TimeoutError:
            return None
        except KafkaException as error:
            return False if error.args[0].code() == KafkaError.GROUP_AUTHORIZATION_FAILED else None

    def _configuration(self, kind: Any, name: str) -> Configuration | None:
        (future,) = self._client.describe_configs([ConfigResource(kind, name)], request_timeout=SECONDS).values()
        try:
            return {entry.name: entry.value for entry in future.result().values() if entry.value is not None}
        except KafkaException:
            return None


def _topic(described: Any, configuration: Configuration | None) -> Topic:
    without_leader = tuple(partition.id for partition in described.partitions if partition.leader is None)
    return Topic(
        str(described.topic_id), len(described.partitions), without_leader, _rights(described.authorized_operations), configuration
    )


def _rights(operations: Iterable[AclOperation] | None) -> frozenset[str] | None:
    return None if operations is None else frozenset(operation.name for operation in operations)
