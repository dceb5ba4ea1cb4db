"""The logs that the contract suite runs against: in memory, librdkafka's mock cluster, a real Apache Kafka."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.support.fake_source import FakeLog
from tests.support.java import NotHere
from tests.support.kafka_log import KafkaLog, MockLog
from tests.support.mock_broker import mock_broker
from tests.support.real_kafka import Broker, JarBroker, running_broker

ON_KAFKA = pytest.param("kafka", marks=pytest.mark.kafka)


@pytest.fixture(scope="session")
def mock_log() -> Iterator[MockLog]:
    with mock_broker() as bootstrap:
        yield MockLog(bootstrap)


@pytest.fixture(scope="session")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    """A real broker; skips where there is none to be had, saying why."""
    try:
        with running_broker(Path(tmp_path_factory.mktemp("kafka"))) as broker:
            yield broker
    except NotHere as reason:
        pytest.skip(str(reason))


@pytest.fixture(scope="session")
def kafka_log(broker: Broker) -> KafkaLog:
    return KafkaLog(broker.bootstrap)


@pytest.fixture
def own_broker(broker: Broker) -> Iterator[JarBroker]:
    """The broker, if it is ours to stop. It runs again afterwards, whatever became of the test."""
    if not isinstance(broker, JarBroker):
        pytest.skip("needs a broker that can be stopped: the jars")
    yield broker
    if not broker.is_running:
        broker.start()


@pytest.fixture(params=["fake", "mock", ON_KAFKA])
def log(request: pytest.FixtureRequest) -> FakeLog | MockLog:
    """Each log in turn."""
    return _log(request)


@pytest.fixture(params=["fake", ON_KAFKA])
def changing_log(request: pytest.FixtureRequest) -> FakeLog | KafkaLog:
    """Each log whose topics can be replaced, cut and widened."""
    log = _log(request)
    assert isinstance(log, FakeLog | KafkaLog)
    return log


def _log(request: pytest.FixtureRequest) -> FakeLog | MockLog:
    if request.param == "fake":
        return FakeLog()
    log = request.getfixturevalue(f"{request.param}_log")
    assert isinstance(log, MockLog)
    return log


@pytest.fixture
def topic() -> str:
    """A topic's name that no other test uses."""
    return f"orders.{uuid4().hex[:8]}"
