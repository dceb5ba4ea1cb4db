"""Where writer schemas come from, by the id or GUID in a message: a registry (registry.py) or files."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

from worker.decode.framing import SchemaRef
from worker.decode.reasons import Reason
from worker.errors import ConfigError


@dataclass(frozen=True, slots=True)
class NoSchema:
    """Why there is no usable schema under a ref; its messages are rejected."""

    reason: Reason
    detail: str


class SchemaSource(Protocol):
    def text(self, ref: SchemaRef) -> str | NoSchema:
        """The JSON text of the writer schema under an id or a GUID.

        Raises Unavailable while the source is away (call again later) and Fatal when it refuses us.
        """
        ...


class FileSchemas:
    """Schemas from files, by a map of ids or GUIDs. They are read once, at the start. Raises ConfigError."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        faults = []
        self._texts: dict[SchemaRef, str] = {}
        for name, path in files.items():
            try:
                ref = _ref(name)
                self._texts[ref] = path.read_text(encoding="utf-8")
            except UnicodeDecodeError as error:
                faults.append(f"registry.files.{name}: {path}: {error}")
            except ValueError:
                faults.append(f"registry.files: {name!r} is neither a schema id nor a GUID")
            except OSError as error:
                faults.append(f"registry.files.{name}: {path}: {error.strerror}")
        if faults:
            raise ConfigError("\n".join(faults), "Name readable .avsc files by the ids that the messages carry, or set registry.url.")

    def text(self, ref: SchemaRef) -> str | NoSchema:
        """See SchemaSource.text; files are never away."""
        return self._texts.get(ref) or NoSchema(
            Reason.UNKNOWN_SCHEMA, f"not among registry.files ({', '.join(map(str, self._texts)) or 'none'})"
        )


def _ref(name: str) -> SchemaRef:
    return int(name) if name.isdecimal() else UUID(name)
