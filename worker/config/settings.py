"""Every setting, its default and its meaning, declared once. Building `Settings` reads nothing but its arguments."""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, Field, SecretStr, field_validator

from worker.config.marts import Marts
from worker.config.section import Fault, Section
from worker.config.units import Duration, PositiveDuration, Size, SizeOrShare
from worker.errors import ConfigError
from worker.events import Stream
from worker.tables import TABLES

_TOPIC = re.compile(r"[A-Za-z0-9._-]{1,249}")
_SERVER = re.compile(r"([\w.-]+|\[[0-9a-fA-F:]+\]):(\d{1,5})")
_SECRET_OPTION = re.compile(r"password|passphrase|secret|oauthbearer\.config$|key\.pem$|private\.key")

# librdkafka settings that the worker's promises rest on, or that have a setting of their own: not to be passed through.
_OWN_OPTIONS = {
    "bootstrap.servers": "kafka.bootstrap_servers",
    "metadata.broker.list": "kafka.bootstrap_servers",
    "group.id": "kafka.group_id",
    "queued.max.messages.kbytes": "kafka.queue_kbytes",
    "enable.auto.commit": None,
    "enable.auto.offset.store": None,
    "auto.offset.reset": None,
    "isolation.level": None,
    "enable.partition.eof": None,
    "check.crcs": None,
    "enable.idempotence": None,
    "acks": None,
    "request.required.acks": None,
}


class Store(Section):
    """The DuckDB file."""

    path: Path = Field(Path("tidemark.duckdb"), description="the file that holds rows, aggregates, position and watermark")
    memory_limit: SizeOrShare = Field("512MB", description="DuckDB's memory, as DuckDB writes it (`512MB`, `1.5GiB`, `60%`)")
    threads: int = Field(1, ge=1, description="DuckDB's threads; one beside the decoding thread is fastest on two cores")
    checkpoint_threshold: Size = Field("256MB", description="size of the write-ahead log at which DuckDB checkpoints")


def _servers(text: str) -> str:
    for server in text.split(","):
        match = _SERVER.fullmatch(server.strip())
        if not match or not 0 < int(match[2]) <= 65_535:
            raise ValueError(f"{server.strip()!r} is not host:port")
    return text


def _topic(name: str) -> str:
    if not _TOPIC.fullmatch(name) or name in {".", ".."}:
        raise ValueError(f"{name!r} is no topic's name: letters, digits, dots, - and _, at most 249")
    return name


Topic = Annotated[str, AfterValidator(_topic)]


class Kafka(Section):
    """The broker. `options` go to librdkafka as they are (SASL, TLS, ..); its secrets can stand in files or the environment."""

    bootstrap_servers: Annotated[str, AfterValidator(_servers)] = Field("127.0.0.1:9092", description="host:port, comma separated")
    topics: dict[Stream, Topic] = Field(
        default={Stream.ORDERS: "orders", Stream.TOUCHPOINTS: "touchpoints"},
        description="the topic of each stream; a stream without a topic (or with an empty one) is switched off. In the file the table is "
        "the whole list; an environment variable or flag changes one stream",
    )
    group_id: str = Field(
        "tidemark", min_length=1, description="the group under which committed offsets are mirrored to the broker, for lag tools"
    )
    queue_kbytes: int = Field(65_536, ge=1_024, description="librdkafka's receive queue, KiB")
    options: dict[str, str] = Field(default={}, description="librdkafka settings, passed through")
    secrets: dict[str, SecretStr] = Field(default={}, description="secret librdkafka settings (`sasl.password`, `ssl.key.password`)")
    secret_files: dict[str, Path] = Field(default={}, description="librdkafka settings whose value is read from a file")
    dlq_suffix: str = Field(
        ".dlq",
        pattern=r"^[A-Za-z0-9._-]*$",
        description="rejected messages go to the topic's name with this suffix; empty: they stay in the file only",
    )

    @field_validator("topics", mode="before")
    @classmethod
    def _empty_is_off(cls, topics: object) -> object:
        return {stream: topic for stream, topic in topics.items() if topic != ""} if isinstance(topics, dict) else topics

    @field_validator("options", mode="before")
    @classmethod
    def _as_text(cls, options: object) -> object:
        """librdkafka takes text; TOML has numbers and booleans too."""
        if not isinstance(options, dict):
            return options
        return {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in options.items()}

    def faults(self) -> Iterator[Fault]:
        """Topics that collide, settings that are given twice, in the wrong place, or are not the user's to set."""
        yield from self._topic_faults()
        places: dict[str, Mapping[str, object]] = {"options": self.options, "secrets": self.secrets, "secret_files": self.secret_files}
        for place, settings in places.items():
            for name in settings:
                key = f"kafka.{place}.{name}"
                if name in _OWN_OPTIONS:
                    own = _OWN_OPTIONS[name]
                    yield Fault((key,), f"set {own} instead" if own else "is the worker's own, its promises rest on it; remove it")
                elif place == "options" and _SECRET_OPTION.search(name):
                    yield Fault((key,), "is a secret: move it to kafka.secrets (shown nowhere) or kafka.secret_files")
        for first, second in (("options", "secrets"), ("options", "secret_files"), ("secrets", "secret_files")):
            for name in places[first].keys() & places[second].keys():
                yield Fault((f"kafka.{second}.{name}", f"kafka.{first}.{name}"), f"is given in kafka.{first} too; keep one of them")

    def _topic_faults(self) -> Iterator[Fault]:
        if not self.topics:
            yield Fault(("kafka.topics",), "no stream has a topic, so there is nothing to read; name one")
        streams: dict[str, Stream] = {}
        for stream, topic in self.topics.items():
            key = f"kafka.topics.{stream}"
            if topic in streams:
                other = streams[topic]
                yield Fault((key, f"kafka.topics.{other}"), f"{topic!r} is the topic of {other} too; each stream needs its own")
            streams.setdefault(topic, stream)
        for stream, topic in self.topics.items():
            dlq = topic + self.dlq_suffix
            if self.dlq_suffix and dlq in streams:
                text = f"rejected messages of {stream} would go to {dlq!r}, which is read as {streams[dlq]}; choose another suffix"
                yield Fault(("kafka.dlq_suffix", f"kafka.topics.{stream}"), text)

    def revealed_secrets(self) -> dict[str, str]:
        """librdkafka's secret settings, revealed, those in files read. Raises ConfigError for a file that can't be read."""
        files = {name: read_secret(path, f"kafka.secret_files.{name}") for name, path in self.secret_files.items()}
        return files | {name: secret.get_secret_value() for name, secret in self.secrets.items()}


class Registry(Section):
    """Where writer schemas come from: a registry that speaks the Confluent API, or files in schemas/ by a map of ids."""

    url: str | None = Field(None, pattern=r"^https?://[^\s/]+", description="of the Confluent API (`http://registry:8081`); none: files")
    username: str | None = Field(None, description="for basic authentication")
    password: SecretStr | None = Field(None, description="for basic authentication")
    password_file: Path | None = Field(None, description="a file that holds the password")
    token: SecretStr | None = Field(None, description="bearer token")
    token_file: Path | None = Field(None, description="a file that holds the bearer token")
    ca_file: Path | None = Field(None, description="certificate authority for https")
    timeout: PositiveDuration = Field(timedelta(seconds=5), description="how long one request may take")
    files: dict[str, Path] = Field(default={}, description="schema id or GUID -> .avsc file, where there is no registry")

    def faults(self) -> Iterator[Fault]:
        """Credentials that contradict each other, or stand where they would be shown."""
        has_password = self.password is not None or self.password_file is not None
        has_token = self.token is not None or self.token_file is not None
        if self.url and "@" in self.url:
            yield Fault(("registry.url",), "must not hold a user or password: set registry.username and registry.password")
        if self.password is not None and self.password_file is not None:
            yield Fault(("registry.password_file", "registry.password"), "registry.password is given too; keep one of them")
        if self.token is not None and self.token_file is not None:
            yield Fault(("registry.token_file", "registry.token"), "registry.token is given too; keep one of them")
        if self.username is not None and not has_password:
            yield Fault(("registry.username", "registry.password", "registry.password_file"), "has no password: set registry.password")
        if has_password and self.username is None:
            yield Fault(("registry.password", "registry.username"), "has no user: set registry.username")
        if has_password and has_token:
            yield Fault(("registry.token", "registry.password"), "there is a password too; use one of the two ways to log in")

    def revealed_password(self) -> str | None:
        """The password for basic authentication. Raises ConfigError for a file that can't be read."""
        return _revealed(self.password, self.password_file, "registry.password_file")

    def revealed_token(self) -> str | None:
        """The bearer token. Raises ConfigError for a file that can't be read."""
        return _revealed(self.token, self.token_file, "registry.token_file")


class Time(Section):
    """Event time. `reporting_time_zone` is fixed when the file is created."""

    reporting_time_zone: str = Field("UTC", description="the IANA time zone whose calendar days are counted")
    watermark_delay: Duration = Field(timedelta(minutes=5), description="how far the watermark trails the newest event")
    allowed_lateness: Duration = Field(timedelta(days=1), description="how long after its end a day stays open")
    idle_timeout: PositiveDuration = Field(
        timedelta(seconds=60), description="a partition read to its end and silent for so long holds nobody back"
    )
    future_guard: Duration = Field(timedelta(hours=1), description="events further ahead of the clock are rejected")

    @field_validator("reporting_time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        if name not in available_timezones():
            raise ValueError(f"{name!r} is no IANA time zone{did_you_mean(name, available_timezones())}")
        return name

    @property
    def zone(self) -> ZoneInfo:
        """The reporting time zone."""
        return ZoneInfo(self.reporting_time_zone)


class Batch(Section):
    """Batches adapt: small when caught up, large when behind."""

    max_messages: int = Field(100_000, ge=1, description="messages in one commit at most")
    max_delay: Duration = Field(timedelta(milliseconds=250), description="how long messages may wait for company when caught up")


class Retention(Section):
    """Default: everything is kept."""

    days: int | None = Field(None, ge=1, description="after so many days a closed day is sealed: its event and keyed rows are dropped")
    rejected_days: int | None = Field(None, ge=1, description="rejected messages are dropped after so many days")


class Serve(Section):
    """Metrics, health, status over HTTP; the admin socket for queries beside a running worker."""

    host: str = Field("127.0.0.1", min_length=1, description="address for /metrics, /healthz, /readyz, /status")
    port: int = Field(9464, ge=0, le=65_535, description="0: any free port")
    tick_timeout: PositiveDuration = Field(timedelta(seconds=60), description="/healthz fails when the loop stood still for so long")
    admin_socket: Path | None = Field(None, description="default: beside the file, with .sock added; mode 0600")
    query_seconds: float = Field(30.0, gt=0, description="a query is stopped after so long")
    query_rows: int = Field(100_000, ge=1, description="a query's rows at most")


class Log(Section):
    """What the worker says about itself, on standard error."""

    format: Literal["auto", "json", "console"] = Field("auto", description="auto: console on a terminal, else json")
    level: Literal["debug", "info", "warning", "error"] = Field("info", description="the least severe that is written")


class Settings(Section):
    """All settings. Frozen: built once at the edge and passed down."""

    store: Store = Store()
    kafka: Kafka = Kafka()
    registry: Registry = Registry()
    time: Time = Time()
    batch: Batch = Batch()
    retention: Retention = Retention()
    serve: Serve = Serve()
    marts: Marts = Marts()
    log: Log = Log()
    reporting_currency: str = Field("USD", min_length=1, description="money of customer tables and marts; fixed when the file is created")
    tables: dict[str, bool] = Field(default={}, description="tables to switch off (false); all are on by default")

    @property
    def tables_on(self) -> frozenset[str]:
        """Names of the tables that are kept."""
        return frozenset(name for name in TABLES if self.tables.get(name, True))

    @property
    def admin_socket(self) -> Path:
        """Where the worker of this file listens for queries."""
        return self.serve.admin_socket or self.store.path.with_name(self.store.path.name + ".sock")

    def faults(self) -> Iterator[Fault]:
        """What does not fit together across sections."""
        days = self.retention.days
        if days is not None and timedelta(days=days) <= self.time.allowed_lateness:
            text = f"{days} days are not longer than time.allowed_lateness: a day would be sealed before it is closed"
            yield Fault(("retention.days", "time.allowed_lateness"), text)
        if days is not None and "customer_first" not in self.tables_on:
            text = "customer_first is off: the first days of customers would be lost with the rows of sealed days"
            yield Fault(("tables.customer_first", "retention.days"), text)
        for name in self.tables:
            if name not in TABLES:
                yield Fault((f"tables.{name}",), f"there is no such table{did_you_mean(name, TABLES)}")
        on = self.tables_on
        for name in sorted(on):
            for need in TABLES[name].needs:
                if need not in on:
                    yield Fault((f"tables.{name}", f"tables.{need}"), f"{name} needs {need}, which is off; switch {name} off too")

    def secret_values(self) -> frozenset[str]:
        """Every secret in clear, for what must keep them out of sight. A secret file that can't be read holds none for us."""
        secrets = [*self.kafka.secrets.values(), self.registry.password, self.registry.token]
        values = {secret.get_secret_value() for secret in secrets if secret is not None}
        for path in (*self.kafka.secret_files.values(), self.registry.password_file, self.registry.token_file):
            with suppress(ConfigError):
                values.add(read_secret(path, "") if path else "")
        return frozenset(values - {""})

    def file_faults(self) -> list[Fault]:
        """Files that are named but can't be read here. Apart from `faults`: who shows or queries need not be able to read secrets."""
        files: dict[str, Path | None] = {
            **{f"kafka.secret_files.{name}": path for name, path in self.kafka.secret_files.items()},
            **{f"registry.files.{name}": path for name, path in self.registry.files.items()},
            "registry.password_file": self.registry.password_file,
            "registry.token_file": self.registry.token_file,
            "registry.ca_file": self.registry.ca_file,
        }
        faults = [Fault((key,), fault) for key, path in files.items() if path is not None and (fault := _unreadable(path))]
        if not self.store.path.absolute().parent.is_dir():
            faults.append(Fault(("store.path",), f"there is no directory {self.store.path.absolute().parent}"))
        return faults


def did_you_mean(word: str, words: Iterable[str]) -> str:
    """'; did you mean "..."?', or nothing where no word is near."""
    near = difflib.get_close_matches(word, list(words), n=1, cutoff=0.7)
    return f'; did you mean "{near[0]}"?' if near else ""


def read_secret(path: Path, key: str) -> str:
    """A secret from its file, less the last line's end. Raises ConfigError, which names the key."""
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{key}: {_reason(path, error)}", "Mount the file, or make it readable for the worker's user.") from None


def _unreadable(path: Path) -> str | None:
    try:
        path.open("rb").close()
    except OSError as error:
        return _reason(path, error)
    return None


def _reason(path: Path, error: Exception) -> str:
    return f"{path} can't be read: {error.strerror if isinstance(error, OSError) else 'it is not UTF-8'}"


def _revealed(secret: SecretStr | None, path: Path | None, key: str) -> str | None:
    if secret is not None:
        return secret.get_secret_value()
    return None if path is None else read_secret(path, key)
