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
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, Literal

import duckdb
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from worker.config import parse_duration
from worker.errors import ConfigError
from worker.resources import sql_dir

BOUND_ALWAYS = frozenset({"as_of", "as_of_end", "reporting_currency", "reporting_time_zone", "sealed_before"})
BOUND_IN_AUDITS = BOUND_ALWAYS | {"read_at"}
SECTIONS = re.compile(r"(?P<header>(?:--[^\n]*\n)+)\s*/\*(?P<front>.*?)\*/(?P<select>.*)", re.DOTALL)
PURPOSE = re.compile(r"-- (?P<name>[a-z][a-z0-9_]*): (?P<text>\S[^\n]*)")
_SQL_LINE = re.compile(r"\bLINE (\d+):")
_TOML_LINE = re.compile(r" \(at line (\d+), column \d+\)")
_KEYS = re.compile(r"(grain|reads|parameters):\s*(.*?)\s*(?=\b(?:grain|reads|parameters):|\n|$)")


Severity = Literal["error", "warning"]


class Unit(StrEnum):
    """What of a mart is computed and replaced at a time."""

    WHOLE = "whole"
    CUSTOMER = "customer"
    SESSION = "session"  # of a day
    DAY = "day"
    MONTH = "month"
    APPEND = "append"  # what is written once is never replaced
    MERGE = "merge"  # all rows are computed; of a key the row of the newer version stands, and what vanished is marked as deleted
    VIEW = "view"

    @property
    def key(self) -> str | None:
        """The column that says which rows are replaced, where not all are."""
        return {Unit.CUSTOMER: "customer_id", Unit.SESSION: "session_id", Unit.DAY: "day", Unit.MONTH: "month"}.get(self)


class OnSchemaChange(StrEnum):
    """What becomes of a mart's table when its rows have other columns than before."""

    REPLACE = "replace"  # it has the new columns
    FAIL = "fail"  # it stays as it is, and the refresh fails
    APPEND = "append"  # it has both: new columns come, those that are gone are null


class _Declared(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Tile(_Declared):
    """Where a row stands among all rows by an expression of its columns: in the first of `parts` parts, or a later one; null where that is.

    Of n values part k (from 1) begins beyond the ceil((k - 1) n / parts) lowest, and equal values are in the same part: for a value of rank
    r, ties taking the low rank, 1 + floor(parts (r - 1) / n). `labels`: names of the parts, in the place of their numbers.
    """

    of: str = Field(min_length=1)
    parts: int = Field(ge=2)
    labels: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _check_labels(self) -> "Tile":
        if self.labels and len(self.labels) != self.parts:
            raise ValueError(f"{len(self.labels)} labels for {self.parts} parts")
        return self

    @property
    def type(self) -> str:
        """Of SQL."""
        return "VARCHAR" if self.labels else "INTEGER"


class Column(_Declared):
    """A column: what it means, in which unit, and its SQL type where the table is made before its first row is. each_day: of the rows that
    are there, as of $last_as_of, what it is as of $as_of, by their columns; where passing days change more than what is dirty.

    Not of the SELECT: a tile, and what follows from tiles (by_tiles: an expression of columns, of that type).
    """

    about: str = Field(min_length=1)
    unit: str = ""
    type: str = ""
    each_day: str = ""
    tile: Tile | None = None
    by_tiles: str = ""


class MartAudit(_Declared):
    """A query for rows of the mart that should not exist."""

    name: str
    query: str
    severity: Severity = "error"
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
    sees_month_ends: bool = False
    kept_by: str | None = None
    at_a_time: int | None = Field(None, ge=1)
    moved: str | None = None
    ages: bool = False
    follows: tuple[str, ...] = ()
    version: str | None = None
    on_schema_change: OnSchemaChange | None = None
    formula: str = ""
    limits: tuple[str, ...] = ()
    audits: tuple[MartAudit, ...] = ()
    questions: tuple[Question, ...] = ()


@dataclass(frozen=True, slots=True)
class Mart:
    """One mart. `parameters`: the settings that it is bound to; `text`: its whole file; `helpers`: further SELECTs of its function,
    by name; `every`: None, when a day closes. Of another mart with other settings: `given` are these, by name, and `aliases` the names
    by which the SELECT knows the tables that it reads.
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
    given: Mapping[str, Any] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    @property
    def unit(self) -> Unit:
        return self.front.unit

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(self.front.columns)

    @property
    def each_day(self) -> dict[str, str]:
        """What passing days make of columns, by their names."""
        return {name: column.each_day for name, column in self.front.columns.items() if column.each_day}

    @property
    def tiles(self) -> dict[str, Tile]:
        """The columns that say where a row stands among all, by their names."""
        return {name: column.tile for name, column in self.front.columns.items() if column.tile is not None}

    @property
    def by_tiles(self) -> dict[str, str]:
        """What follows from tiles: expressions of columns, by their names."""
        return {name: column.by_tiles for name, column in self.front.columns.items() if column.by_tiles}

    @property
    def placed(self) -> dict[str, str]:
        """The columns that are not of its SELECT, for they wait until all rows are there: their types, by their names."""
        tiles = {name: tile.type for name, tile in self.tiles.items()}
        return tiles | {name: self.front.columns[name].type for name in self.by_tiles}

    @property
    def on_schema_change(self) -> OnSchemaChange:
        return self.front.on_schema_change or (OnSchemaChange.FAIL if self.unit is Unit.MERGE else OnSchemaChange.REPLACE)

    @property
    def view_select(self) -> str:
        """The SELECT of a view, which reads its inputs by the names of their tables."""
        if not self.aliases:
            return self.select
        renamed = ", ".join(f'"{name}" as (select * from "{table}")' for table, name in self.aliases.items())
        return f"with {renamed} select * from ({self.select})"


def parse(name: str, text: str, helpers: Mapping[str, str] | None = None) -> Mart:
    """The mart of a file named `name`.sql. Raises ConfigError, which says what is wrong in it."""
    mart = _parsed(name, text, helpers or {})
    _check(mart)
    return mart


def _parsed(name: str, text: str, helpers: Mapping[str, str]) -> Mart:
    parts = SECTIONS.fullmatch(text)
    if parts is None:
        raise fault(name, "it is not a header of comment lines, front matter between /* and */, and a SELECT")
    purpose = PURPOSE.match(parts["header"])
    if purpose is None or purpose["name"] != name:
        raise fault(name, f"it does not begin with `-- {name}: what for`")
    header = dict(_KEYS.findall(parts["header"]))
    try:
        front = FrontMatter.model_validate(tomllib.loads(parts["front"]))
        every = None if front.schedule == "day" else parse_duration(front.schedule)
    except ValueError as error:
        raise front_fault(name, text, error) from None
    about = [line.removeprefix("--").strip() for line in parts["header"].splitlines()[1:] if not _KEYS.search(line)]
    return Mart(
        name,
        " ".join([purpose["text"], *about]),
        _names(header.get("grain", "").strip("()")),
        _names(header.get("reads", "")),
        tuple(name for name in _names(header.get("parameters", "")) if name not in BOUND_ALWAYS),
        front,
        parts["select"].strip().rstrip(";"),
        text,
        every,
        helpers,
    )


def _names(text: str) -> tuple[str, ...]:
    return tuple(name for name in re.split(r"[,\s]+", text.strip()) if name)


def _check(mart: Mart) -> None:
    """Raises ConfigError for what can be told without the tables."""
    missing = [column for column in mart.key if column not in mart.columns]
    if not mart.key or missing:
        text = f"its grain names {', '.join(missing) or 'no column'}, which [columns] does not have"
        raise fault(mart.name, text, line_of(mart.text, "grain"))
    for column in (mart.unit.key, mart.front.kept_by):
        if column is not None and column not in mart.columns:
            text = f"unit and kept_by need the column {column}, which [columns] does not have"
            raise fault(mart.name, text, line_of(mart.text, "kept_by" if column == mart.front.kept_by else "unit"))
    # Of an anonymous touchpoint its whole session tells whose it is, so touchpoints can't be told apart by customer.
    if mart.front.at_a_time and (mart.unit is not Unit.CUSTOMER or "touchpoint" in mart.reads):
        raise fault(
            mart.name,
            "at_a_time counts customers: it needs the unit customer, and no touchpoint among what is read",
            line_of(mart.text, "at_a_time"),
        )
    if mart.unit is not Unit.CUSTOMER and (mart.front.moved or mart.front.ages or mart.front.follows or mart.each_day or mart.placed):
        text = "moved, ages, follows, each_day, tile and by_tiles are of marts with the unit customer"
        raise fault(mart.name, text, line_of(mart.text, "unit"))
    _check_placed(mart)
    if untyped := [name for name in mart.by_tiles if not mart.front.columns[name].type]:
        raise fault(mart.name, f"by_tiles needs the type of {untyped[0]}", line_of(mart.text, untyped[0]))
    if mart.front.moved and mart.front.moved not in mart.helpers:
        raise fault(mart.name, f"there is no {mart.name}/{mart.front.moved}.sql, which moved names", line_of(mart.text, "moved"))
    if strange := set(mart.front.follows) - set(mart.reads):
        raise fault(mart.name, f"it follows {', '.join(sorted(strange))}, which it does not read", line_of(mart.text, "follows"))
    if mart.unit is Unit.APPEND and not all(column.type for column in mart.front.columns.values()):
        raise fault(mart.name, "it is appended to, so each column needs a type", line_of(mart.text, "columns"))
    if mart.unit is Unit.MERGE and (mart.front.version not in mart.columns or mart.front.on_schema_change is OnSchemaChange.REPLACE):
        text = "it is merged: it needs a column that is its `version`, and its table can't be replaced"
        raise fault(mart.name, text, line_of(mart.text, "unit"))
    if mart.unit is Unit.VIEW and (mart.front.function or mart.parameters):
        raise fault(
            mart.name, "a view takes no function and no parameters", line_of(mart.text, "function" if mart.front.function else "parameters")
        )
    _check_parameters(mart, mart.select, "what follows its front matter", BOUND_ALWAYS)
    for audit in mart.front.audits:
        _check_parameters(mart, audit.query, f"audit {audit.name!r}", BOUND_IN_AUDITS)


def _check_placed(mart: Mart) -> None:
    """Tiles are found one beside the other, and so is what follows from them: neither can build on its like."""
    given = {f"the tile {name}": (tile.of, set(mart.placed)) for name, tile in mart.tiles.items()}
    given |= {f"by_tiles of {name}": (sql, set(mart.by_tiles)) for name, sql in mart.by_tiles.items()}
    for what, (sql, not_there) in given.items():
        if strange := sorted(not_there.intersection(re.findall(r"\w+", sql))):
            raise fault(mart.name, f"{what} can't be made of {strange[0]}, which is not there yet", line_of(mart.text, what.split()[-1]))
    ways = [name for name, column in mart.front.columns.items() if sum(map(bool, (column.tile, column.by_tiles, column.each_day))) > 1]
    if ways or (ways := [name for name in mart.key if name in mart.placed]):
        text = f"{ways[0]} can be one of tile, by_tiles and each_day, and no column of the key a tile or what follows from tiles"
        raise fault(mart.name, text, line_of(mart.text, ways[0]))


def _check_parameters(mart: Mart, sql: str, what: str, bound: frozenset[str]) -> None:
    try:
        (statement,) = duckdb.extract_statements(sql)
    except (duckdb.Error, ValueError) as error:
        begins = mart.text.count("\n", 0, max(mart.text.find(sql), 0))
        raise fault(mart.name, f"{what} is not one statement: {error}", begins + _number(_SQL_LINE, str(error))) from None
    if unnamed := sorted(set(statement.named_parameters) - bound - set(mart.parameters)):
        text = f"its header does not name the parameters {', '.join(unnamed)} of {what}"
        raise fault(mart.name, text, line_of(mart.text, f"${unnamed[0]}"))


class MartFault(ConfigError):
    """What is wrong in the file of a mart, on which line."""

    def __init__(self, name: str, text: str, line: int) -> None:
        super().__init__(f"mart {name}: {text}", f"Mend line {line} of {name}.sql; docs/marts.md says what a mart's file is.")
        self.text, self.line = text, line


def fault(name: str, text: str, line: int = 1) -> MartFault:
    """What is wrong in the file of a mart."""
    return MartFault(name, text, line)


def front_fault(name: str, text: str, error: ValueError) -> MartFault:
    """What is wrong in the front matter of a mart's file, whose text is given."""
    if isinstance(error, ValidationError):
        faults = [(".".join(map(str, each["loc"])), each["msg"]) for each in error.errors(include_url=False)]
        told = "; ".join(f"{place}: {message}" if place else message for place, message in faults)
        lines = [line_of(text, place.rpartition(".")[2]) for place, _ in faults]
        return fault(name, told, next((line for line in lines if line > 1), 1))
    if isinstance(error, tomllib.TOMLDecodeError):
        begins = text.count("\n", 0, text.index("/*"))
        return fault(name, f"its front matter is no TOML: {_TOML_LINE.sub('', str(error))}", begins + _number(_TOML_LINE, str(error)))
    return fault(name, str(error), line_of(text, "schedule"))


def line_of(text: str, word: str) -> int:
    """The line that begins with the word, else the first that has it, else the first."""
    begun, had = rf"^[ \t]*\[*(?:\w+\.)*{re.escape(word)}(?!\w)", rf"(?<!\w){re.escape(word)}(?!\w)"
    found = re.search(begun, text, re.MULTILINE) or re.search(had, text)
    return text.count("\n", 0, found.end()) + 1 if found and word else 1


def _number(pattern: re.Pattern[str], text: str) -> int:
    """A number of a line as an error tells it; where it tells none, the first."""
    found = pattern.search(text)
    return int(found[1]) if found else 1


@cache
def built_in() -> Mapping[str, Mart]:
    """The marts that come with tidemark, by name. A test checks them: to parse all their SQL would take each start .2 s."""
    return {path.stem: _parsed(*_texts(path)) for path in sorted((sql_dir() / "marts").glob("*.sql"))}


def load_file(path: Path) -> Mart:
    """The mart of a file, with the SELECTs in the directory of its name. Raises ConfigError."""
    return parse(*_texts(path))


def _texts(path: Path) -> tuple[str, str, dict[str, str]]:
    """The name of a mart, its file, and the SELECTs that belong to it."""
    helpers = {helper.stem: helper.read_text(encoding="utf-8") for helper in sorted(path.with_suffix("").glob("*.sql"))}
    return path.stem, path.read_text(encoding="utf-8"), helpers


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
        raise Circle(circle)
    return found


class Circle(ConfigError):
    """Marts that depend on each other, and those that depend on them."""

    def __init__(self, marts: Sequence[str]) -> None:
        super().__init__(f"marts depend on each other in a circle: {', '.join(marts)}", "One of them must not read the other.")
        self.marts = marts


def inputs(mart: Mart, marts: Mapping[str, Mart]) -> list[Mart]:
    """The marts that it reads, itself left out."""
    return [marts[name] for name in mart.reads if name in marts and name != mart.name]


def switched_off(marts: Mapping[str, Mart], tables_off: AbstractSet[str]) -> dict[str, str]:
    """The marts that can't be computed, each with the table that is missing: one that it reads, or a mart beneath it."""
    found: dict[str, str] = {}
    for mart in ordered(marts.values()):
        missing = sorted(tables_off & set(mart.reads)) + [found[name] for name in mart.reads if name in found]
        if missing:
            found[mart.name] = missing[0]
    return found


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
