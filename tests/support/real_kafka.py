"""A real Apache Kafka for the tests: one that runs already, a container, or the jars.

In this order: TIDEMARK_TEST_KAFKA (host:port), testcontainers where a Docker engine runs, the jars by Maven where there is a Java 17.
"""

import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.support.clients import SILENT
from tests.support.java import QUICK_START, JavaProcess, docker_runs, fetched, free_ports, maven

CONFIGURATION = Path(__file__).resolve().parent / "kafka"


class ExternalBroker:
    """A broker that is not ours to stop."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap


class JarBroker(JavaProcess):
    """Apache Kafka from jars: one node, broker and controller, its data in `directory`.

    `properties` replace those of _server_properties; `client` is what an administrator's client needs beside bootstrap.servers.
    Raises NotHere.
    """

    def __init__(self, directory: Path, properties: Mapping[str, str] | None = None, client: Mapping[str, str] | None = None) -> None:
        jars = f"{fetched('kafka', _fetch)}/*"
        port, controller_port = free_ports(2)
        self.bootstrap = f"127.0.0.1:{port}"
        self._client = dict(client or {})
        settings = _server_properties(directory / "data", port, controller_port) | dict(properties or {})
        directory.mkdir(parents=True, exist_ok=True)
        file = directory / "server.properties"
        file.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        formatting = ["kafka.tools.StorageTool", "format", "--standalone", "-t", uuid4().hex[:22], "-c", str(file)]
        subprocess.run(["java", *QUICK_START, "-cp", jars, *formatting], capture_output=True, check=True)
        jvm = ["-Xms256m", "-Xmx512m", f"-Dlog4j2.configurationFile={CONFIGURATION / 'log4j2.properties'}"]
        super().__init__([*jvm, "-cp", jars, "kafka.Kafka", str(file)], directory, self._answer)

    def _answer(self) -> bool:
        try:
            AdminClient({"bootstrap.servers": self.bootstrap, **self._client}, logger=SILENT).list_topics(timeout=1)
        except KafkaException:
            return False
        return True


def _fetch(folder: Path) -> None:
    pom = CONFIGURATION / "pom.xml"
    maven("-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={folder}", "-DincludeScope=runtime")


def _server_properties(data: Path, port: int, controller_port: int) -> dict[str, str]:
    return {
        "process.roles": "broker,controller",
        "node.id": "1",
        "listeners": f"CLIENTS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"CLIENTS://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "listener.security.protocol.map": "CLIENTS:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "inter.broker.listener.name": "CLIENTS",
        "controller.listener.names": "CONTROLLER",
        "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller_port}",
        "log.dirs": str(data),
        "offsets.topic.replication.factor": "1",
        "offsets.topic.num.partitions": "1",
        "transaction.state.log.replication.factor": "1",
        "transaction.state.log.min.isr": "1",
        "transaction.state.log.num.partitions": "1",
        "share.coordinator.state.topic.replication.factor": "1",
        "share.coordinator.state.topic.min.isr": "1",
        "share.coordinator.state.topic.num.partitions": "1",
        "group.initial.rebalance.delay.ms": "0",
        "auto.create.topics.enable": "false",
        "log.retention.hours": "-1",
        "broker.session.timeout.ms": "3000",
        "broker.heartbeat.interval.ms": "500",
    }


Broker = ExternalBroker | JarBroker

ADMIN = {"security.protocol": "SASL_PLAINTEXT", "sasl.mechanism": "PLAIN", "sasl.username": "admin", "sasl.password": "admin-password"}


def secured_broker(directory: Path, user: str, password: str) -> JarBroker:
    """One where clients log in, and `user` may do only what an access rule allows. ADMIN is the administrator's client."""
    users = {"admin": ADMIN["sasl.password"], user: password}
    known = " ".join(f'user_{name}="{secret}"' for name, secret in users.items())
    login = f'org.apache.kafka.common.security.plain.PlainLoginModule required username="admin" password="{users["admin"]}" {known};'
    properties = {
        "listener.security.protocol.map": "CLIENTS:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "sasl.mechanism.inter.broker.protocol": "PLAIN",
        "listener.name.clients.plain.sasl.jaas.config": login,
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:admin;User:ANONYMOUS",  # the latter is the controller's listener
    }
    return JarBroker(directory, properties, ADMIN)


@contextmanager
def running_broker(directory: Path) -> Iterator[Broker]:
    """A real broker, gone afterwards if it was started here. Raises NotHere."""
    if external := os.environ.get("TIDEMARK_TEST_KAFKA"):
        yield ExternalBroker(external)
    elif docker_runs():
        from testcontainers.community.kafka import KafkaContainer

        container = KafkaContainer().with_kraft().with_env("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false")
        container.with_env("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1").with_env("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1")
        with container:
            yield ExternalBroker(container.get_bootstrap_server())
    else:
        broker = JarBroker(directory)
        try:
            broker.start()
            yield broker
        finally:
            broker.stop()
