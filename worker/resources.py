"""Files that come with the code: SQL statements and Avro schemas, in a source tree and in an installed wheel alike."""

from functools import cache
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def _directory(name: str) -> Path:
    """A wheel carries the directory inside the package (pyproject.toml, force-include); a source tree has it beside the package."""
    packed = _PACKAGE / name
    return packed if packed.is_dir() else _PACKAGE.parent / name


def sql_dir() -> Path:
    """The directory of sql/: migrations, daily, definitions, audits."""
    return _directory("sql")


@cache
def sql_text(name: str) -> str:
    """The text of one SQL file by its path below sql/ without suffix, e.g. "daily/daily_sales". Raises FileNotFoundError."""
    return (sql_dir() / f"{name}.sql").read_text(encoding="utf-8")


def schema_path(name: str) -> Path:
    """The file of one Avro schema in schemas/ by its name without suffix, e.g. "order". Raises FileNotFoundError."""
    path = _directory("schemas") / f"{name}.avsc"
    if not path.is_file():
        raise FileNotFoundError(path)
    return path
