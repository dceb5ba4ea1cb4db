"""What is wrong in the user's own marts, told before a worker reads them: each file's fault with its line."""

import re
from collections.abc import Iterator
from pathlib import Path

from worker.config import Marts
from worker.config.settings import did_you_mean
from worker.marts.collection import collected
from worker.marts.definition import MartFault, line_of
from worker.marts.scope import MADE_OF
from worker.resources import sql_dir

_MADE_THERE = re.compile(r"^create (?:table|view) (\w+)", re.MULTILINE)


def faults(settings: Marts) -> Iterator[str]:
    """FILE:LINE: what is wrong in it; also where it reads what is neither a table nor a mart. Raises ConfigError: no such directory."""
    found = collected(settings)
    if settings.directory is None:
        return
    for name, error in sorted(found.faults.items()):
        line, text = (error.line, error.text) if isinstance(error, MartFault) else (1, error.message)
        yield f"{settings.directory / name}.sql:{line}: {text}"
    known = found.marts.keys() | found.faults.keys() | _tables()
    for path in sorted(settings.directory.glob("*.sql")):
        mart = found.marts.get(path.stem)
        for read in mart.reads if mart else ():
            if read not in known:
                line = line_of(path.read_text(encoding="utf-8"), read)
                yield f"{path}:{line}: it reads {read}, which is neither a table nor a mart{did_you_mean(read, known)}"


def _tables() -> set[str]:
    """Of the file, as its migrations make it, and what marts see besides."""
    files: list[Path] = sorted((sql_dir() / "migrations").glob("*.sql"))
    return {name for file in files for name in _MADE_THERE.findall(file.read_text(encoding="utf-8"))} | MADE_OF.keys()
