"""How a Kafka client is set up: pass-through options, secrets, and a log that is not standard error."""

from collections.abc import Callable, Iterable, Mapping
from itertools import combinations
from typing import Any, TypeVar

import structlog
from confluent_kafka import KafkaError, KafkaException

from worker import config
from worker.errors import ConfigError

log = structlog.get_logger()

Client = TypeVar("Client")

# Exactness depends on these, or they have a setting of their own: not for kafka.options.
RESERVED = frozenset(
    {
        "bootstrap.servers",
        "metadata.broker.list",
        "group.id",
        "auto.offset.reset",
        "enable.auto.commit",
        "enable.auto.offset.store",
        "enable.partition.eof",
        "isolation.level",
        "check.crcs",
        "queued.max.messages.kbytes",
        "enable.idempotence",
        "acks",
        "request.required.acks",
    }
)
SECRET = frozenset(
    {
        "sasl.password",
        "sasl.oauthbearer.client.secret",
        "sasl.oauthbearer.config",
        "ssl.key.password",
        "ssl.key.pem",
        "ssl.keystore.password",
    }
)

# The broker understood and said no: waiting does not help.
REFUSALS = frozenset(
    {
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError.ILLEGAL_SASL_STATE,
        KafkaError.SECURITY_DISABLED,
        KafkaError._AUTHENTICATION,
    }
)


def create(kind: Callable[..., Client], settings: config.Kafka, own: Mapping[str, Any], tuning: Mapping[str, Any] = {}) -> Client:
    """A Consumer, Producer or AdminClient: its `tuning` can be changed by the user's options, its `own` settings can't.

    Raises ConfigError, naming all faults at once, never a secret's value.
    """
    secrets = _secrets(settings)
    try:
        merged = {"bootstrap.servers": settings.bootstrap_servers, **tuning, **settings.options, **secrets, **own}
        return kind(merged, logger=ClientLog(secrets.values()))
    except KafkaException as error:
        text = redacted(error.args[0].str(), secrets.values())
    # Outside of the handler, so that no traceback shows librdkafka's own words.
    raise ConfigError(f"librdkafka refuses the configuration: {text}", "See kafka.options, kafka.secrets and kafka.secret_files.")


def _secrets(settings: config.Kafka) -> dict[str, str]:
    """The secrets by option, read from where they stand. Raises ConfigError for all faults of options and secrets."""
    places: dict[str, Mapping[str, object]] = {
        "options": settings.options,
        "secrets": settings.secrets,
        "secret_files": settings.secret_files,
    }
    faults = [
        f"kafka.{place}.{key}: exactness depends on it, it can't be set"
        for place, keys in places.items()
        for key in sorted(RESERVED & keys.keys())
    ]
    faults += [
        f"kafka.options.{key} is a secret: it belongs into kafka.secrets or kafka.secret_files"
        for key in sorted(SECRET & settings.options.keys())
    ]
    faults += [
        f"{key} stands in kafka.{one} and in kafka.{other}"
        for one, other in combinations(places, 2)
        for key in sorted(places[one].keys() & places[other].keys())
    ]
    secrets = {key: secret.get_secret_value() for key, secret in settings.secrets.items()}
    for key, path in settings.secret_files.items():
        try:
            secrets[key] = path.read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            faults.append(f"kafka.secret_files.{key}: {path} can't be read ({type(error).__name__})")
    if faults:
        raise ConfigError("\n".join(faults), "See docs/configuration.md, section kafka.")
    return secrets


def redacted(text: str, secrets: Iterable[str]) -> str:
    """`text` without any of the secrets: librdkafka quotes values that it does not like."""
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return text


class ClientLog:
    """Where a client's own log lines go (it has the one method of logging.Logger that confluent_kafka calls).

    librdkafka calls a lost connection an error, many times a second; what matters of it comes as Unavailable or SourceError, so its
    lines are only for looking closer.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        self._secrets = tuple(secrets)

    def log(self, _level: int, text: str, *arguments: object) -> None:
        log.debug("kafka_client_logged", text=redacted(text % arguments if arguments else text, self._secrets))
