"""The configuration: tidemark.toml, then the environment (TIDEMARK_KAFKA__BOOTSTRAP_SERVERS=..), then flags; later wins.

`settings` declares every setting once, `loading` brings the three sources together and lists all faults at once, `reference` writes
docs/configuration.md from the declarations.
"""

from worker.config.loading import Loaded, Row, load, read
from worker.config.marts import Marts, Value
from worker.config.section import Section
from worker.config.settings import Batch, Kafka, Log, Registry, Retention, Serve, Settings, Store, Time
from worker.config.units import duration_text, parse_duration, size_bytes

__all__ = [
    "Batch",
    "Kafka",
    "Loaded",
    "Log",
    "Marts",
    "Registry",
    "Retention",
    "Row",
    "Section",
    "Serve",
    "Settings",
    "Store",
    "Time",
    "Value",
    "duration_text",
    "load",
    "parse_duration",
    "read",
    "size_bytes",
]
