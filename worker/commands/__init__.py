"""The commands, one module each. Here: what all of them share, the configuration's sources and what may be printed."""

import json
import logging
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from worker import log
from worker.config import Loaded, Settings, read

AsJson = Annotated[bool, typer.Option("--json", help="One JSON object a line, for programs.")]


@dataclass(frozen=True, slots=True)
class Sources:
    """Where this command line says that the configuration comes from."""

    path: Path | None
    overrides: Mapping[str, str]

    def read(self, *, check_files: bool = False) -> Loaded:
        """The configuration; from here on logs are written as it says and its secrets are kept out of sight. Raises ConfigError."""
        loaded = read(self.path, self.overrides, check_files=check_files)
        log.configure(loaded.settings.log, loaded.settings.secret_values())
        return loaded

    def settings(self) -> Settings:
        """The settings alone. Raises ConfigError."""
        return self.read().settings


def log_errors_alone() -> None:
    """For a command that does itself what a worker would log: its last line tells it. Who asks for all, by log.level = debug, gets all."""
    if logging.root.level > logging.DEBUG:
        logging.root.setLevel(logging.ERROR)


def print_json_lines(rows: Iterable[Mapping[str, Any]]) -> None:
    """One JSON object a line on standard output."""
    for row in rows:
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")


def shown(value: Any) -> str:
    """A value as a person reads it. Escape sequences in data must not reach the terminal."""
    if value is None:
        return ""
    if isinstance(value, bool | list | dict):
        return json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in str(value))
