"""A mart as data: a file of sql/marts/, read and checked.

    -- customer_overview: what is known of each customer, a row each.
    -- grain: (customer_id)   reads: customer_facts, customer   parameters: new_customer_days
    /*
    unit = "whole"
    [columns]
    customer_id = { about = "the customer" }
    */
    select ..

`reads` names every table that the SELECT, or the function behind it, reads; `parameters` the settings that it is bound to. What is always
there: $as_of and $as_of_end, the moment at which that day has ended (UTC); $reporting_currency, $reporting_time_zone, $sealed_before.
Further SELECTs of a function are sql/marts/<mart>/<name>.sql.
"""

import heapq
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Literal

import duckdb
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from worker.config import parse_duration
from worker.errors import ConfigError
from worker.resources import sql_dir

BOUND_ALWAYS = frozenset({"as_of", "as_of_end", "reporting_currency", "reporting_time_zone", "sealed_before"})
_FILE = re.compile(r"(?P<header>(?:--[^\n]*\n)+)\s*/\*(?P<front>.*?)\*/(?P<select>.*)", re.DOTALL)
_PURPOSE = re.compile(r"-- (?P<name>[a-z][a-z0-9_]*): (?P<text>\S[^\n]*)")
_KEYS = re.compile(r"(grain|reads|parameters):\s*(.*?)\s*(?=\b(?:grain|reads|parameters):|\n|$)")


class Unit(StrEnum):
    """What of a mart is computed and replaced at a time."""

    WHOLE = "whole"
    CUSTOMER = "customer"
    DAY = "day"
    MONTH = "month"
    APPEND = "append"  # what is written once is never replaced
    VIEW = "view"

    @property
    def key(self) -> str | None:
        """The column that says which rows are replaced, where not all are."""
        return {Unit.CUSTOMER: "customer_id", Unit.DAY: "day", Unit.MONTH: "month"}.get(self)


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(_Declared):
    """A column: what it means, in which unit, and its SQL type where the table is made before its first row is."""

    about: str = Field(min_length=1)
    unit: str = ""
    type: str = ""


class MartAudit(_Declared):
    """A query for rows of the mart that should not exist."""

    name: str
    query: str
    severity: Literal["error", "warning"] = "error"
    remedy: str = ""


class Question(_Declared):
    """An example of what the mart answers."""

    ask: str
    sql: str


class FrontMatter(_Declared):
    """What stands between the header of a mart and its SELECT, as TOML."""

    columns: dict[str, Column] = Field(min_length=1)
    unit: Unit = Unit.WHOLE
    schedule: str = "day"
    priority: int = 20
    function: str | None = None
    internal: bool = False
    kept_by: str | None = None
    formula: str = ""
    limits: tuple[str, ...] = ()
    audits: tuple[MartAudit, ...] = ()
    questions: tuple[Question, ...] = ()


@dataclass(frozen=True, slots=True)
class Mart:
    """One mart. `parameters`: the settings that it is bound to; `text`: its whole file; `helpers`: further SELECTs of its function,
    by name; `every`: None, when a day closes.
    """

    name: str
    purpose: str
    key: tuple[str, ...]
    reads: tuple[str, ...]
    parameters: tuple[str, ...]
    front: FrontMatter
    select: str
    text: str
    every: timedelta | None
    helpers: Mapping[str, str]

    @property
    def unit(self) -> Unit:
        return self.front.unit

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.front.columns)


def parse(name: str, text: str, helpers: Mapping[str, str] | None = None) -> Mart:
    """The mart of a file named `name`.sql. Raises ConfigError, which says what is wrong in it."""
    parts = _FILE.fullmatch(text)
    if parts is None:
        raise _fault(name, "it is not a header of comment lines, front matter between /* and */, and a SELECT")
    purpose = _PURPOSE.match(parts["header"])
    if purpose is None or purpose["name"] != name:
        raise _fault(name, f"it does not begin with `-- {name}: what for`")
    header = dict(_KEYS.findall(parts["header"]))
    try:
        front = FrontMatter.model_validate(tomllib.loads(parts["front"]))
        every = None if front.schedule == "day" else parse_duration(front.schedule)
    except (tomllib.TOMLDecodeError, ValidationError, ValueError) as error:
        raise _fault(name, str(error)) from None
    about = [line.removeprefix("--").strip() for line in parts["header"].splitlines()[1:] if not _KEYS.search(line)]
    mart = Mart(
        name,
        " ".join([purpose["text"], *about]),
        _names(header.get("grain", "").strip("()")),
        _names(header.get("reads", "")),
        tuple(name for name in _names(header.get("parameters", "")) if name not in BOUND_ALWAYS),
        front,
        parts["select"].strip().rstrip(";"),
        text,
        every,
        helpers or {},
    )
    _check(mart)
    return mart


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in re.split(r"[,\s]+", text.strip()) if name)


def _check(mart: Mart) -> None:
    """Raises ConfigError for what can be told without the tables."""
    missing = [column for column in mart.key if column not in mart.columns]
    if not mart.key or missing:
        raise _fault(mart.name, f"its grain names {', '.join(missing) or 'no column'}, which [columns] does not have")
    for column in (mart.unit.key, mart.front.kept_by):
        if column is not None and column not in mart.columns:
            raise _fault(mart.name, f"unit and kept_by need the column {column}, which [columns] does not have")
    if mart.unit is Unit.APPEND and not all(column.type for column in mart.front.columns.values()):
        raise _fault(mart.name, "it is appended to, so each column needs a type")
    if mart.unit is Unit.VIEW and (mart.front.function or mart.parameters):
        raise _fault(mart.name, "a view takes no function and no parameters")
    try:
        (statement,) = duckdb.extract_statements(mart.select)
    except (duckdb.Error, ValueError) as error:
        raise _fault(mart.name, f"what follows its front matter is not one statement: {error}") from None
    if unnamed := set(statement.named_parameters) - BOUND_ALWAYS - set(mart.parameters):
        raise _fault(mart.name, f"its header does not name the parameters {', '.join(sorted(unnamed))}")


def _fault(name: str, text: str) -> ConfigError:
    return ConfigError(f"mart {name}: {text}", f"Mend {name}.sql; docs/marts.md says what a mart's file is.")


@cache
def built_in() -> Mapping[str, Mart]:
    """The marts that come with tidemark, by name. Raises ConfigError."""
    return load(sql_dir() / "marts")


def load(directory: Path) -> Mapping[str, Mart]:
    """The marts of a directory's files, by name. Raises ConfigError."""
    marts = {}
    for path in sorted(directory.glob("*.sql")):
        helpers = {helper.stem: helper.read_text(encoding="utf-8") for helper in sorted((directory / path.stem).glob("*.sql"))}
        marts[path.stem] = parse(path.stem, path.read_text(encoding="utf-8"), helpers)
    return marts


def ordered(marts: Iterable[Mart]) -> list[Mart]:
    """By dependency; among those whose inputs are ready, by priority and name. Raises ConfigError where they depend in a circle."""
    by_name = {mart.name: mart for mart in marts}
    waiting = {name: {read for read in mart.reads if read in by_name and read != name} for name, mart in by_name.items()}
    ready = [(by_name[name].front.priority, name) for name, needs in waiting.items() if not needs]
    heapq.heapify(ready)
    found: list[Mart] = []
    while ready:
        _, name = heapq.heappop(ready)
        found.append(by_name[name])
        for other, needs in waiting.items():
            if name in needs:
                needs.remove(name)
                if not needs:
                    heapq.heappush(ready, (by_name[other].front.priority, other))
    if len(found) < len(by_name):
        circle = sorted(name for name, needs in waiting.items() if needs)
        raise ConfigError(f"marts depend on each other in a circle: {', '.join(circle)}", "One of them must not read the other.")
    return found


def inputs(mart: Mart, marts: Mapping[str, Mart]) -> list[Mart]:
    """The marts that it reads, itself left out."""
    return [marts[name] for name in mart.reads if name in marts and name != mart.name]


def with_inputs(names: Iterable[str], marts: Mapping[str, Mart]) -> set[str]:
    """These marts and all that they depend on. Raises ConfigError for a name that is none."""
    found: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        if name not in marts:
            raise ConfigError(f"there is no mart {name}", "tidemark marts list prints their names.")
        if name not in found:
            found.add(name)
            waiting += [mart.name for mart in inputs(marts[name], marts)]
    return found


def described(mart: Mart) -> dict[str, Any]:
    """All of it, as JSON has it."""
    return {
        "name": mart.name,
        "purpose": mart.purpose,
        "grain": list(mart.key),
        "reads": list(mart.reads),
        "parameters": list(mart.parameters),
        **mart.front.model_dump(mode="json"),
    }
