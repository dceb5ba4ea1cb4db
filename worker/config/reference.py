"""docs/configuration.md, written from the declarations: every setting, its variable, its default and its meaning."""

from collections.abc import Iterator
from typing import Any

from worker.config.loading import FIELDS, SECTIONS, value_at, variable_of
from worker.config.settings import Settings

_HEAD = """\
# Configuration

<!-- Written by `tidemark config docs` from worker/config/settings.py; a test holds it current. -->

Every setting has a default; `tidemark config show` prints what is in effect and where it comes from, `tidemark config validate`
lists every fault at once. A misspelt setting is a fault, never ignored. Four sources, later wins:

1. the defaults below,
2. the file: `--config PATH`, else `TIDEMARK_CONFIG`, else `tidemark.toml` in the working directory if there,
3. environment variables: `TIDEMARK_SECTION__KEY`, with two underscores; an entry of a table is `TIDEMARK_KAFKA__TOPICS__ORDERS`,
4. flags: `--set section.key=value`, and those that stand for one setting.

Durations are a number and a unit (`250ms`, `30s`, `5m`, `1h30m`, `1d`) or ISO 8601 (`PT5M`). Paths are relative to the working directory.
Secrets belong into the environment or into files; no output shows them. In variables, dots of librdkafka's names are underscores:
`TIDEMARK_KAFKA__SECRETS__SASL_PASSWORD` is `sasl.password`. Variables that Kubernetes sets for a service named tidemark
(`TIDEMARK_SERVICE_HOST`, `TIDEMARK_PORT`, ..) and the test suite's own (`TIDEMARK_TEST_..`) are no settings and are let be.

```toml
[kafka]
bootstrap_servers = "broker-1:9092,broker-2:9092"

[kafka.topics]
orders = "shop.orders"
touchpoints = "shop.touchpoints"

[kafka.options]
"security.protocol" = "SASL_SSL"
"sasl.mechanism" = "SCRAM-SHA-512"
"sasl.username" = "tidemark"

[kafka.secret_files]
"sasl.password" = "/run/secrets/sasl-password"

[time]
reporting_time_zone = "Europe/Berlin"
allowed_lateness = "2d"
```
"""


def reference() -> str:
    """The whole page, in Markdown."""
    defaults = Settings().model_dump(mode="json")
    pages = [
        _section(f"`[{name}]`", kind.__doc__ or "", list(_rows(value_at(defaults, name), f"{name}."))) for name, kind in SECTIONS.items()
    ]
    general = list(_rows(defaults))
    return "\n".join([_HEAD, _section("Beside the sections", "At the top of the file, before any section.", general), *pages])


def _section(title: str, text: str, rows: list[str]) -> str:
    lines = [f"## {title}", "", text, "", "| setting | variable | default | meaning |", "|---|---|---|---|", *rows, ""]
    return "\n".join(lines)


def _rows(defaults: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, default in defaults.items():
        if prefix + name in SECTIONS:
            continue
        meaning = FIELDS[prefix + name].description
        yield f"| `{name}` | `{variable_of(prefix + name)}` | {_default_text(default)} | {meaning} |"


def _default_text(default: Any) -> str:
    if isinstance(default, dict):
        return ", ".join(f"`{key} = {value}`" for key, value in default.items())
    return "" if default is None else f"`{default}`"
