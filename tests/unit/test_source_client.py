"""How Kafka clients are configured: what passes through, what wins, and that no secret gets out."""

import traceback
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import Consumer
from pydantic import SecretStr

from worker.config import Kafka
from worker.errors import ConfigError
from worker.source.client import create

GROUP = {"group.id": "g"}


def made(settings: Kafka, own: dict[str, Any], tuning: dict[str, Any] | None = None) -> dict[str, Any]:
    """The configuration that a client would get."""
    return create(lambda merged, logger: merged, settings, own, tuning)


def test_options_and_secrets_reach_the_client(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("from a file\n")
    settings = Kafka(
        bootstrap_servers="broker:9092",
        options={"client.id": "me"},
        secrets={"sasl.password": SecretStr("given")},
        secret_files={"ssl.key.password": file},
    )
    assert made(settings, GROUP) == {
        "bootstrap.servers": "broker:9092",
        "client.id": "me",
        "sasl.password": "given",
        "ssl.key.password": "from a file",
        "group.id": "g",
    }


def test_a_users_option_goes_before_the_clients_tuning() -> None:
    merged = made(Kafka(options={"fetch.wait.max.ms": "7"}), GROUP, {"fetch.wait.max.ms": 100, "linger.ms": 5})
    assert merged["fetch.wait.max.ms"] == "7"
    assert merged["linger.ms"] == 5


@pytest.mark.parametrize("option", ["security.protocol", "ssl.key.pem", "no.such.option"])
def test_a_refused_secret_is_not_quoted(option: str) -> None:
    settings = Kafka(options={"security.protocol": "SSL"} if option.startswith("ssl") else {}, secrets={option: SecretStr("s3cret-value")})
    with pytest.raises(ConfigError, match="librdkafka refuses") as caught:
        create(Consumer, settings, GROUP)
    assert option in caught.value.message
    assert "s3cret-value" not in "".join(traceback.format_exception(caught.value)) + repr(caught.value)


def test_a_file_of_secrets_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"kafka\.secret_files\.sasl\.password"):
        create(Consumer, Kafka(secret_files={"sasl.password": tmp_path / "gone"}), GROUP)
