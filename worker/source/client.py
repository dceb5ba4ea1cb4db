"""How every Kafka client is made: the user's options and secrets passed through, and a log that is not standard error."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import structlog
from confluent_kafka import KafkaError, KafkaException

from worker import config
from worker.errors import ConfigError

log = structlog.get_logger()

Client = TypeVar("Client")

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


def create(kind: Callable[..., Client], settings: config.Kafka, own: Mapping[str, Any], tuning: Mapping[str, Any] | None = None) -> Client:
    """A Consumer, Producer or AdminClient. The user's options go before its `tuning`; its `own` settings are not theirs to set.

    Raises ConfigError, without any secret, where librdkafka refuses an option or a file of secrets can't be read.
    """
    secrets = settings.revealed_secrets()
    merged = {**(tuning or {}), **settings.options, **secrets, "bootstrap.servers": settings.bootstrap_servers, **own}
    try:
        return kind(merged, logger=ClientLog())
    except KafkaException as error:
        refusal = error.args[0].str()
    # librdkafka quotes values that it does not like. Raised here, so that no traceback goes on to its words.
    for secret in filter(None, secrets.values()):
        refusal = refusal.replace(secret, "***")
    raise ConfigError(f"librdkafka refuses the configuration: {refusal}", "See kafka.options, kafka.secrets and kafka.secret_files.")


class ClientLog:
    """Where a client's own log lines go (it has the one method of logging.Logger that confluent_kafka calls).

    librdkafka calls a lost connection an error, many times a second. What matters of it comes as Unavailable or SourceError, so its
    lines are only for looking closer.
    """

    def log(self, _level: int, text: str, *arguments: object) -> None:
        log.debug("kafka_client_logged", text=text % arguments)
