"""Avro schemas as small trees, parsed with suspicion: bounded in size, depth and expansion, and never recursive."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

MAX_TEXT = 1 << 20  # characters of a schema's JSON
MAX_DEPTH = 24  # of types within types, named types written out
MAX_NODES = 1_000  # types and fields of a schema, named types written out

NO_DEFAULT = object()
_PRIMITIVES = frozenset(["null", "boolean", "int", "long", "float", "double", "bytes", "string"])
_SYMBOL = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")


class SchemaRefused(ValueError):
    """The schema is not valid Avro, or breaks one of the bounds above; says where and why."""


@dataclass(frozen=True, slots=True)
class Primitive:
    name: str
    logical: str = ""


@dataclass(frozen=True, slots=True)
class Fixed:
    name: str
    size: int


@dataclass(frozen=True, slots=True)
class Enum:
    name: str
    symbols: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Array:
    items: "Type"


@dataclass(frozen=True, slots=True)
class Map:
    values: "Type"


@dataclass(frozen=True, slots=True)
class Union:
    branches: tuple["Type", ...]


@dataclass(frozen=True, slots=True)
class Field:
    name: str
    type: "Type"
    aliases: tuple[str, ...] = ()
    default: Any = NO_DEFAULT


@dataclass(frozen=True, slots=True)
class Record:
    name: str  # with its namespace
    fields: tuple[Field, ...]
    aliases: tuple[str, ...] = ()


Type: TypeAlias = Primitive | Fixed | Enum | Array | Map | Union | Record

NULL = Primitive("null")
MILLIS, MICROS = "timestamp-millis", "timestamp-micros"


def parse(text: str) -> Type:
    """The schema of a JSON text. Raises SchemaRefused."""
    if len(text) > MAX_TEXT:
        raise SchemaRefused(f"a schema of {len(text):,} characters; at most {MAX_TEXT:,} are read")
    try:
        schema = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SchemaRefused(f"not JSON: {error}") from None
    return _Parser().type(schema, "", 0)


def unqualified(name: str) -> str:
    """The name without its namespace."""
    return name.rpartition(".")[2]


def matches(writer: Record, reader: Record) -> bool:
    """True where the records' unqualified names are the same, or the writer's is an alias of the reader's."""
    return unqualified(writer.name) in {unqualified(name) for name in (reader.name, *reader.aliases)}


def source_of(field: Field, writer: Record) -> Field | None:
    """The writer's field that a reader's field is read from: the one of its name, else of an alias."""
    named = {source.name: source for source in writer.fields}
    return next((named[name] for name in (field.name, *field.aliases) if name in named), None)


def describe(kind: Type) -> str:
    """What can be said of a type in an error."""
    match kind:
        case Primitive(name=name) | Record(name=name) | Enum(name=name):
            return unqualified(name)
        case Union(branches=branches):
            return f"a union of {', '.join(map(describe, branches[:8]))}"
    return type(kind).__name__.lower()


def takes_no_bytes(kind: Type) -> bool:
    """True where every value of the type is zero bytes long, so that a count is not bounded by the message's size."""
    match kind:
        case Primitive(name="null") | Fixed(size=0):
            return True
        case Record(fields=fields):
            return all(takes_no_bytes(field.type) for field in fields)
    return False


def children(kind: Type) -> tuple[Type, ...]:
    """The types directly within a type."""
    match kind:
        case Array(items=inner) | Map(values=inner):
            return (inner,)
        case Union(branches=branches):
            return branches
        case Record(fields=fields):
            return tuple(field.type for field in fields)
    return ()


class _Parser:
    """One schema's parse: the names defined so far (None: still being defined) and the measure of each type."""

    def __init__(self) -> None:
        self._named: dict[str, Type | None] = {}
        self._measures: dict[int, tuple[int, int]] = {}  # id of a type: its depth, its nodes

    def type(self, schema: Any, namespace: str, depth: int) -> Type:
        if depth > MAX_DEPTH:
            raise SchemaRefused(f"types nested more than {MAX_DEPTH} deep")
        match schema:
            case str():
                return self._measured(Primitive(schema) if schema in _PRIMITIVES else self._reference(schema, namespace))
            case list():
                return self._measured(self._union(schema, namespace, depth))
            case {"type": dict() | list() as inner}:
                return self.type(inner, namespace, depth + 1)
            case {"type": str()}:
                return self._measured(self._complex(schema, namespace, depth))
        raise SchemaRefused(f"not a type: {_short(schema)}")

    def _measured(self, kind: Type) -> Type:
        """Bounds the tree with named types written out, without writing them out: a chain of references can be exponential."""
        inner = [self._measures[id(child)] for child in children(kind)]
        depth = 1 + max((depth for depth, _ in inner), default=0)
        nodes = 1 + sum(nodes for _, nodes in inner)
        if depth > MAX_DEPTH or nodes > MAX_NODES:
            raise SchemaRefused(f"written out, the schema is {depth} deep and has {nodes:,} types; {MAX_DEPTH} and {MAX_NODES:,} are read")
        self._measures[id(kind)] = depth, nodes
        return kind

    def _reference(self, name: str, namespace: str) -> Type:
        full = _full_name(name, namespace)
        if full not in self._named:
            raise SchemaRefused(f"unknown type {_short(name)}")
        kind = self._named[full]
        if kind is None:
            raise SchemaRefused(f"recursive type {full}")
        return kind

    def _union(self, schema: list[Any], namespace: str, depth: int) -> Union:
        if not schema or any(isinstance(branch, list) for branch in schema):
            raise SchemaRefused("a union is empty or directly within a union")
        branches = tuple(self.type(branch, namespace, depth + 1) for branch in schema)
        if len({_identity(branch) for branch in branches}) < len(branches):
            raise SchemaRefused("a union has a type twice")
        return Union(branches)

    def _complex(self, schema: Mapping[str, Any], namespace: str, depth: int) -> Type:
        match schema:
            case {"type": "array", "items": items}:
                return Array(self.type(items, namespace, depth + 1))
            case {"type": "map", "values": values}:
                return Map(self.type(values, namespace, depth + 1))
            case {"type": "record" | "error" | "enum" | "fixed", "name": str(name)}:
                return self._definition(schema, _full_name(name, schema.get("namespace", namespace)), depth)
            case {"type": str(name)} if name in _PRIMITIVES:
                logical = schema.get("logicalType")
                return Primitive(name, logical if isinstance(logical, str) else "")
            case {"type": str(name)} if name not in ("array", "map", "record", "error", "enum", "fixed"):
                return self._reference(name, namespace)
        raise SchemaRefused(f"incomplete: {_short(schema)}")

    def _definition(self, schema: Mapping[str, Any], name: str, depth: int) -> Type:
        if name in self._named or name in _PRIMITIVES:
            raise SchemaRefused(f"{name} is defined twice, or within itself")
        self._named[name] = None
        kind: Type
        match schema:
            case {"type": "enum", "symbols": list(symbols)}:
                kind = Enum(name, _symbols(symbols, name))
            case {"type": "fixed", "size": int(size)} if size >= 0:
                kind = Fixed(name, size)
            case {"type": "record" | "error", "fields": list(fields)}:
                namespace = name.rpartition(".")[0]
                parsed = tuple(self._field(field, namespace, depth) for field in fields)
                if len({field.name for field in parsed}) < len(parsed):
                    raise SchemaRefused(f"{name} has a field twice")
                kind = Record(name, parsed, _aliases(schema))
            case _:
                raise SchemaRefused(f"incomplete: {_short(schema)}")
        self._named[name] = kind
        return kind

    def _field(self, schema: Any, namespace: str, depth: int) -> Field:
        match schema:
            case {"name": str(name), "type": kind}:
                return Field(name, self.type(kind, namespace, depth + 1), _aliases(schema), schema.get("default", NO_DEFAULT))
        raise SchemaRefused(f"not a field: {_short(schema)}")


def _identity(kind: Type) -> tuple[str, str]:
    """By what branches of a union must differ: their kind, and their name if they have one."""
    return type(kind).__name__, "" if isinstance(kind, Array | Map | Union) else kind.name


def _full_name(name: str, namespace: Any) -> str:
    return name if "." in name or not isinstance(namespace, str) or not namespace else f"{namespace}.{name}"


def _aliases(schema: Mapping[str, Any]) -> tuple[str, ...]:
    aliases = schema.get("aliases", [])
    return tuple(alias for alias in aliases if isinstance(alias, str)) if isinstance(aliases, list) else ()


def _symbols(symbols: list[Any], name: str) -> tuple[str, ...]:
    valid = all(isinstance(symbol, str) and _SYMBOL.match(symbol) for symbol in symbols)
    if not valid or not symbols or len(set(symbols)) < len(symbols) or len(symbols) > MAX_NODES:
        raise SchemaRefused(f"the symbols of {name} are not distinct names")
    return tuple(symbols)


def _short(value: Any) -> str:
    """What can be shown of a hostile value: repr of its first level only."""
    if isinstance(value, dict):
        return "{" + ", ".join(map(str, list(value)[:8])) + "}"
    return repr(value)[:80] if isinstance(value, str | int | float | bool | None) else type(value).__name__
