"""A real Apache Kafka for the tests: one that runs already, a container, or the jars.

In this order: TIDEMARK_TEST_KAFKA (host:port), testcontainers where a Docker engine runs, the jars by Maven where there is a Java 17.
"""

import atexit
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from uuid import uuid4

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.support.clients import SILENT

ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
START_SECONDS = 120.0
JAVA = ("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")  # quick to start; a test broker has little to do


class NoKafka(Exception):
    """There is no way to a real broker (or registry) on this machine; the message says why."""


def free_ports(count: int) -> list[int]:
    """Ports of the loopback that nobody listens on now, each another one."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def maven(*arguments: str) -> None:
    """Run Maven quietly. Raises NoKafka where there is none, or no Java 17, or it fails."""
    if not shutil.which("mvn") or not shutil.which("java"):
        raise NoKafka("no Docker engine runs, and there is no mvn or java to fetch and run the jars")
    done = subprocess.run(["mvn", "-q", "-B", *arguments], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise NoKafka(f"mvn {' '.join(arguments)} failed: {done.stdout[-2000:]}")


def wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait until `ready`; raises RuntimeError with the log's tail if the process ends or START_SECONDS are over."""
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text()[-4000:]}")
        time.sleep(0.1)


class ExternalBroker:
    """A broker that is not ours to stop."""

    can_restart = False

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap


class JarBroker:
    """Apache Kafka in a process of its own, from jars, with its data in `directory`. One node, broker and controller.

    `properties` are added to (or replace) those of server.properties; `client` is the configuration that an administrator's client
    needs beside bootstrap.servers.
    """

    can_restart = True

    def __init__(self, directory: Path, properties: Mapping[str, str] | None = None, client: Mapping[str, str] | None = None) -> None:
        self.directory = directory
        self.client = dict(client or {})
        self._jars = _jars()
        self._properties = directory / "server.properties"
        self._log = directory / "broker.log"
        self._process: subprocess.Popen[bytes] | None = None
        port, controller_port = free_ports(2)
        self.bootstrap = f"127.0.0.1:{port}"
        settings = _server_properties(directory / "data", port, controller_port) | dict(properties or {})
        directory.mkdir(parents=True, exist_ok=True)
        self._properties.write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
        self._tool("format", "--standalone", "-t", uuid4().hex[:22], "-c", str(self._properties))

    def start(self) -> None:
        """Start it and wait until it answers."""
        java = [*JAVA, "-Xms256m", "-Xmx512m", f"-Dlog4j2.configurationFile={HERE / 'kafka' / 'log4j2.properties'}"]
        atexit.register(self.kill)  # pytest may end without the fixture's end
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*java, "-cp", f"{self._jars}/*", "kafka.Kafka", str(self._properties)],
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.directory,
                start_new_session=True,  # a Ctrl-C at the terminal is for pytest, which then stops the broker in order
            )
        wait_until(self._answers, self._process, self._log)

    def stop(self) -> None:
        """Stop it in order; its data stay."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """kill -9."""
        self._end(signal.SIGKILL)

    def _end(self, how: signal.Signals) -> None:
        if self._process is None:
            return
        self._process.send_signal(how)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(30)
        self._process.kill()
        self._process.wait()
        self._process = None

    def _answers(self) -> bool:
        admin = AdminClient({"bootstrap.servers": self.bootstrap, **self.client}, logger=SILENT)
        try:
            admin.list_topics(timeout=1)
        except KafkaException:
            return False
        return True

    def _tool(self, *arguments: str) -> None:
        subprocess.run([*JAVA, "-cp", f"{self._jars}/*", "kafka.tools.StorageTool", *arguments], capture_output=True, check=True)


def _jars() -> Path:
    """The folder of the jars, fetched once. A name that ends in .part is never taken for a whole one."""
    jars = ROOT / "build" / "kafka"
    if not jars.is_dir():
        part = jars.with_suffix(".part")
        shutil.rmtree(part, ignore_errors=True)
        maven("-f", str(HERE / "kafka" / "pom.xml"), "dependency:copy-dependencies", f"-DoutputDirectory={part}", "-DincludeScope=runtime")
        part.rename(jars)
    return jars


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
    """A real broker, gone afterwards if it was started here. Raises NoKafka where there is none to be had."""
    if external := os.environ.get("TIDEMARK_TEST_KAFKA"):
        yield ExternalBroker(external)
    elif docker_runs():
        from testcontainers.kafka import KafkaContainer

        with KafkaContainer("apache/kafka:4.2.1") as container:
            yield ExternalBroker(container.get_bootstrap_server())
    else:
        broker = JarBroker(directory)
        try:
            broker.start()
            yield broker
        finally:
            broker.stop()


def docker_runs() -> bool:
    """Whether a Docker engine answers (a client alone is not enough)."""
    if not shutil.which("docker"):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False).returncode == 0
