"""The configuration: tidemark.toml, then the environment (TIDEMARK_KAFKA__BOOTSTRAP_SERVERS=..), then flags; later wins.

Every setting, its default and its meaning stand here once; docs/configuration.md is generated from it.
"""

from datetime import timedelta
from pathlib import Path
from typing import Literal
from zoneinfo import ZoneInfo

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from worker.events import Stream
from worker.tables import TABLES


class Section(BaseModel):
    """Unknown keys are faults: a misspelt setting must not be silently ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Store(Section):
    """The DuckDB file."""

    path: Path = Field(Path("tidemark.duckdb"), description="the file that holds rows, aggregates, position and watermark")
    memory_limit: str = Field("512MB", description="DuckDB's memory, as DuckDB writes it")
    threads: int = Field(1, ge=1, description="DuckDB's threads; one beside the decoding thread is fastest on two cores")
    checkpoint_threshold: str = Field("256MB", description="size of the write-ahead log at which DuckDB checkpoints")


class Kafka(Section):
    """The broker. `options` go to librdkafka as they are (SASL, TLS, ..); its secrets can stand in files or the environment."""

    bootstrap_servers: str = Field("127.0.0.1:9092", description="host:port, comma separated")
    topics: dict[Stream, str] = Field(
        default={Stream.ORDERS: "orders", Stream.TOUCHPOINTS: "touchpoints"},
        description="the topic of each stream; a stream without a topic is switched off",
    )
    group_id: str = Field("tidemark", description="the group under which committed offsets are mirrored to the broker, for lag tools")
    queue_kbytes: int = Field(65_536, ge=1_024, description="librdkafka's receive queue, KiB")
    options: dict[str, str] = Field(default={}, description="librdkafka settings, passed through")
    secrets: dict[str, SecretStr] = Field(default={}, description="librdkafka settings that are secret (sasl.password, ssl.key.password)")
    secret_files: dict[str, Path] = Field(default={}, description="librdkafka settings whose value is read from a file")
    dlq_suffix: str = Field(
        ".dlq", description="rejected messages go to the topic's name with this suffix; empty: they stay in the file only"
    )


class Registry(Section):
    """Where writer schemas come from: a registry that speaks the Confluent API, or files in schemas/ by a map of ids."""

    url: str | None = Field(None, description="of the Confluent API, e.g. http://registry:8081; none: files")
    username: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = None
    token: SecretStr | None = Field(None, description="bearer token")
    token_file: Path | None = None
    ca_file: Path | None = Field(None, description="certificate authority for https")
    timeout: timedelta = Field(timedelta(seconds=5))
    files: dict[str, Path] = Field(default={}, description="schema id or GUID -> .avsc file, where there is no registry")


class Time(Section):
    """Event time. `reporting_time_zone` is fixed when the file is created."""

    reporting_time_zone: str = "UTC"
    watermark_delay: timedelta = Field(timedelta(minutes=5), description="how far the watermark trails the newest event")
    allowed_lateness: timedelta = Field(timedelta(days=1), description="how long after its end a day stays open")
    idle_timeout: timedelta = Field(
        timedelta(seconds=60), description="a partition read to its end and silent for so long holds nobody back"
    )
    future_guard: timedelta = Field(timedelta(hours=1), description="events further ahead of the clock are rejected")

    @field_validator("reporting_time_zone")
    @classmethod
    def _known_zone(cls, name: str) -> str:
        ZoneInfo(name)
        return name


class Batch(Section):
    """Batches adapt: small when caught up, large when behind."""

    max_messages: int = Field(100_000, ge=1, description="messages in one commit at most")
    max_delay: timedelta = Field(timedelta(milliseconds=250), description="how long messages may wait for company when caught up")


class Retention(Section):
    """Default: everything is kept."""

    days: int | None = Field(None, ge=1, description="after so many days a closed day is sealed: its event and keyed rows are dropped")
    rejected_days: int | None = Field(None, ge=1, description="rejected messages are dropped after so many days")


class Serve(Section):
    """Metrics, health, status over HTTP; the admin socket for queries beside a running worker."""

    host: str = Field("127.0.0.1", description="address for /metrics, /healthz, /readyz, /status")
    port: int = Field(9464, ge=0, le=65_535, description="0: any free port")
    admin_socket: Path | None = Field(None, description="default: beside the file, with .sock added; mode 0600")
    query_seconds: float = Field(30.0, gt=0, description="a query through the admin socket is stopped after so long")
    query_rows: int = Field(100_000, ge=1, description="a query's rows at most")


class Log(Section):
    format: Literal["auto", "json", "console"] = Field("auto", description="auto: console on a terminal, else json")
    level: Literal["debug", "info", "warning", "error"] = "info"


class Settings(BaseSettings):
    """All settings. Frozen: built once at the edge and passed down."""

    model_config = SettingsConfigDict(env_prefix="TIDEMARK_", env_nested_delimiter="__", extra="forbid", frozen=True)

    store: Store = Store()
    kafka: Kafka = Kafka()
    registry: Registry = Registry()
    time: Time = Time()
    batch: Batch = Batch()
    retention: Retention = Retention()
    serve: Serve = Serve()
    log: Log = Log()
    reporting_currency: str = Field("USD", min_length=1, description="money of customer tables and marts; fixed when the file is created")
    tables: dict[str, bool] = Field(default={}, description="tables to switch off (false); all are on by default")

    @property
    def tables_on(self) -> frozenset[str]:
        """Names of the tables that are kept."""
        return frozenset(name for name in TABLES if self.tables.get(name, True))

    @model_validator(mode="after")
    def _tables_have_what_they_need(self) -> "Settings":
        faults = [f"tables.{name}: there is no such table" for name in self.tables if name not in TABLES]
        on = self.tables_on
        faults += [f"tables.{name} needs {need}, which is off" for name in on for need in TABLES[name].needs if need not in on]
        if faults:
            raise ValueError("; ".join(sorted(faults)))
        return self
