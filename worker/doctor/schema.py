"""Whether a writer schema can be read, field by field: every fault at once, where the decoder tells of the first."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from worker.config.settings import did_you_mean
from worker.decode.avro import (
    MAX_DEPTH,
    MAX_NODES,
    MICROS,
    MILLIS,
    NO_DEFAULT,
    NULL,
    Array,
    Enum,
    Field,
    Primitive,
    Record,
    SchemaRefused,
    Type,
    Union,
    describe,
    matches,
    parse,
    source_of,
    unqualified,
)
from worker.decode.plan import Column, NotColumnar, Scalar, Unresolvable, columns_of, resolve
from worker.decode.readings import READERS, reader_text
from worker.doctor.findings import Finding, Level, counted, worst
from worker.doctor.places import lines_of
from worker.events import Stream

_NULL_EVERYWHERE = "not written, null in every row"


@dataclass(frozen=True, slots=True)
class FieldVerdict:
    """What becomes of one field: its path by the reader's names, by the writer's where it is ignored. No note: it is read as it is."""

    field: str
    level: Level = Level.OK
    note: str = ""
    remedy: str = ""
    line: int | None = None

    def finding(self) -> Finding:
        place = "" if self.line is None else f"line {self.line}: "
        return Finding(self.field, self.level, place + self.note, self.remedy)


@dataclass(frozen=True, slots=True)
class SchemaVerdict:
    """What becomes of all messages of a writer schema. `way`: how they are decoded, or why they can't be."""

    stream: Stream | None
    level: Level
    way: str
    remedy: str = ""
    fields: tuple[FieldVerdict, ...] = ()
    is_columnar: bool = False

    def findings(self) -> list[Finding]:
        """For people: the whole, then every field of which there is something to say."""
        whole = Finding("schema", self.level, self.way, self.remedy)
        special = [field.finding() for field in self.fields if field.note not in ("", _NULL_EVERYWHERE)]
        return [whole, *self._together("", "read as they are"), *self._together(_NULL_EVERYWHERE, _NULL_EVERYWHERE), *special]

    def _together(self, note: str, text: str) -> Iterator[Finding]:
        if names := [field.field for field in self.fields if field.note == note]:
            yield Finding(counted(len(names), "field"), Level.OK, f"{text}: {', '.join(names)}")


def stream_of(text: str) -> Stream | None:
    """The stream whose record a schema's text is; None where it is of none, or no schema."""
    try:
        writer = parse(text)
    except SchemaRefused:
        return None
    return next((stream for stream, reader in READERS.items() if _record_of(writer, reader)), None)


def examined(text: str, stream: Stream | None = None) -> SchemaVerdict:
    """The verdict on a writer schema's text, for a stream: that of its record's name unless it is given."""
    try:
        writer = parse(text)
    except SchemaRefused as error:
        limits = f"not recursive, at most {MAX_DEPTH} deep and {MAX_NODES:,} types large"
        remedy = f"Write a schema that is valid Avro, {limits}. Mend it before it is registered: its messages would all be rejected."
        return SchemaVerdict(stream, Level.PROBLEM, f"refused: {error}", remedy)
    stream = stream or stream_of(text)
    records = ", ".join(f"{unqualified(reader.name)} ({stream})" for stream, reader in READERS.items())
    record = _record_of(writer, READERS[stream]) if stream else None
    if stream is None or record is None:
        wanted = f"a record {unqualified(READERS[stream].name)}" if stream else "of any stream"
        return SchemaVerdict(
            stream, Level.PROBLEM, f"{describe(writer)} is not {wanted}", f"Name the record as the reader does: {records}."
        )
    lines = lines_of(text)
    verdicts = tuple(
        replace(verdict, line=lines.get(place)) if place else verdict for place, verdict in _fields(record, READERS[stream], stream)
    )
    return _whole(stream, writer, verdicts)


def _whole(stream: Stream, writer: Type, fields: tuple[FieldVerdict, ...]) -> SchemaVerdict:
    unreadable = [field.field for field in fields if field.level is Level.PROBLEM]
    if unreadable:
        remedy = "Mend it before it is registered, or keep producers on the version before."
        return SchemaVerdict(stream, Level.PROBLEM, f"every message would be rejected, for {', '.join(unreadable)}", remedy, fields)
    level = worst(field.level for field in fields)
    try:
        resolve(writer, READERS[stream])
    except NotColumnar as reason:
        remedy = "If speed matters, write that field as one record."
        way = f"read row by row with fastavro, which is many times slower: {reason}"
        return SchemaVerdict(stream, worst([level, Level.WARNING]), way, remedy, fields)
    return SchemaVerdict(stream, level, "read in columns", "", fields, is_columnar=True)


# A verdict with the path of the writer's field that it is about, if there is one.
_Placed = tuple[str, FieldVerdict]


def _fields(writer: Record, reader: Record, stream: Stream, place: str = "", path: str = "") -> Iterator[_Placed]:
    """place, path: of the record itself, by the writer's and the reader's names, with a dot at the end."""
    sources = [source_of(field, writer) for field in reader.fields]
    read = {source.name for source in sources if source}
    ignored = [field.name for field in writer.fields if field.name not in read]
    for field, source in zip(reader.fields, sources, strict=True):
        if source is None:
            yield "", _absent(field, ignored, stream, path)
        elif isinstance(field.type, Array):
            yield from _items(source, field, stream, place, path)
        else:
            yield place + source.name, _scalar(source, field, stream, path)
    for name in ignored:
        yield place + name, FieldVerdict(path + name, note="ignored: the reader has no such field")


def _absent(field: Field, ignored: Sequence[str], stream: Stream, path: str) -> FieldVerdict:
    meant = did_you_mean(field.name, ignored)
    if field.default is not NO_DEFAULT:
        text = _NULL_EVERYWHERE if field.default is None else f"not written, {json.dumps(field.default)} in every row"
        return FieldVerdict(path + field.name, note=text + meant)
    declared = _declared(stream, path + field.name) | {"default": _some_value(field.type)}
    snippet = json.dumps(declared, separators=(",", ":"))  # without spaces, so that it stays on one line
    remedy = f"Write it, filled in every message; under the rule BACKWARD an added field needs a default in its declaration:\n{snippet}"
    return FieldVerdict(path + field.name, Level.PROBLEM, f"not written, and the reader needs it{meant}", remedy)


def _scalar(source: Field, field: Field, stream: Stream, path: str) -> FieldVerdict:
    try:
        plan = resolve(Record(stream, (source,)), Record(stream, (field,)))
    except Unresolvable as error:
        return FieldVerdict(path + field.name, Level.PROBLEM, str(error), _retype(stream, path + field.name))
    (step,), (column,) = plan.steps, columns_of(Record(stream, (field,)))
    assert isinstance(step, Scalar)
    notes = [_note(kind, column, stream) for _, kind in step.readable if kind != NULL] or [
        _Note(Level.WARNING, "null in every message", "Write it, or leave it out.")
    ]
    branches = source.type.branches if isinstance(source.type, Union) else (source.type,)
    left = set(range(len(branches))) - {place for place, _ in step.readable}
    notes += [_rejected(branches[place]) for place in sorted(left)]
    if source.name != field.name:
        notes.append(_Note(Level.OK, f"read from {source.name}"))
    return _verdict(path + field.name, notes)


def _items(source: Field, field: Field, stream: Stream, place: str, path: str) -> Iterator[_Placed]:
    assert isinstance(field.type, Array)
    assert isinstance(field.type.items, Record)
    reader, name = field.type.items, path + field.name
    branches = source.type.branches if isinstance(source.type, Union) else (source.type,)
    arrays = [branch for branch in branches if isinstance(branch, Array)]
    inner = _record_of(arrays[0].items, reader) if arrays else None
    if inner is None:
        fault = f"the writer's {field.name} is {describe(source.type)}, not an array of {unqualified(reader.name)}"
        yield place + source.name, FieldVerdict(name, Level.PROBLEM, fault, _retype(stream, name))
        return
    notes = [_rejected(branch) for branch in branches if not isinstance(branch, Array)]
    if isinstance(arrays[0].items, Union):
        notes += [_rejected(branch) for branch in arrays[0].items.branches if branch is not inner]
    yield place + source.name, _verdict(name, notes)
    yield from _fields(inner, reader, stream, f"{place}{source.name}.", f"{name}.")


@dataclass(frozen=True, slots=True)
class _Note:
    """One thing to say of a field; no text: nothing."""

    level: Level = Level.OK
    text: str = ""
    remedy: str = ""


def _verdict(field: str, notes: Sequence[_Note]) -> FieldVerdict:
    level = worst(note.level for note in notes)
    texts, remedies = (dict.fromkeys(filter(None, said)) for said in ((n.text for n in notes), (n.remedy for n in notes)))
    return FieldVerdict(field, level, "; ".join(texts), " ".join(remedies))


def _rejected(branch: Type) -> _Note:
    if branch == NULL:
        return _Note(Level.WARNING, "a message with null here is rejected", "Never leave it empty; the type need not allow null.")
    return _Note(Level.WARNING, f"a message with a value of type {describe(branch)} here is rejected", "Leave that type out of the union.")


_TO_MICROS = "Write it as long with the logicalType timestamp-micros."
_TIMES: Mapping[str, _Note] = {
    MICROS: _Note(),
    MILLIS: _Note(Level.OK, "milliseconds, made microseconds"),
    "": _Note(Level.WARNING, "a long without a logicalType, taken for microseconds since 1970 UTC", _TO_MICROS),
    "local-timestamp-micros": _Note(Level.WARNING, "a local time, taken for UTC", _TO_MICROS),
    "local-timestamp-millis": _Note(Level.PROBLEM, "milliseconds of local time, taken for microseconds: before 1980, rejected", _TO_MICROS),
    "timestamp-nanos": _Note(Level.PROBLEM, "nanoseconds, taken for microseconds: far in the future, rejected", _TO_MICROS),
    "local-timestamp-nanos": _Note(Level.PROBLEM, "nanoseconds, taken for microseconds: far in the future, rejected", _TO_MICROS),
}
_NO_MOMENT = _Note(Level.PROBLEM, "no moment in time: a number of microseconds since 1970 UTC is wanted", _TO_MICROS)


def _note(writer: Type, column: Column, stream: Stream) -> _Note:
    """What to say of values of a writer's type that can be read into a column."""
    match writer:
        case Enum(symbols=symbols):
            return _enum_note(symbols, _MEANINGS.get((stream, column.name), frozenset()))
        case Primitive(name="bytes"):
            return _Note(Level.OK, "bytes, read as UTF-8; others are rejected")
        case Primitive(name=name, logical=logical) if column.is_time:
            return _NO_MOMENT if name == "int" else _TIMES.get(logical, _NO_MOMENT)
        case Primitive(name="int") if str(column.arrow) == "int64":
            return _Note(Level.OK, "int, widened to long")
    return _Note()


# Symbols that the tables know; any others are kept and counted as nothing special.
_MEANINGS: Mapping[tuple[Stream, str], frozenset[str]] = {
    (Stream.ORDERS, "status"): frozenset(["PLACED", "COMPLETED", "REFUNDED", "CANCELLED", "DELETED"]),
    (Stream.TOUCHPOINTS, "event_type"): frozenset(
        {
            *("page_view", "product_view", "cart_add", "checkout_start", "purchase", "ad_click", "impression"),
            *("email_sent", "email_open", "email_click", "review"),
        }
    ),
}


def _enum_note(symbols: Sequence[str], meanings: frozenset[str]) -> _Note:
    others = [symbol for symbol in symbols if symbol not in meanings]
    if not meanings or not others:
        return _Note(Level.OK, "an enum, read as text")
    known = ", ".join(sorted(meanings))
    if meanings.isdisjoint(symbols):
        return _Note(Level.WARNING, f"an enum whose symbols all mean nothing to the tables: {', '.join(others)}", f"These do: {known}.")
    if alike := [symbol for symbol in others if any(symbol.lower() == known.lower() for known in meanings)]:
        return _Note(
            Level.WARNING,
            f"an enum with symbols that, spelt so, mean nothing to the tables: {', '.join(alike)}",
            f"Spell them so: {known}.",
        )
    return _Note(Level.OK, f"an enum, read as text; symbols that mean nothing special to the tables: {', '.join(others)}")


def _record_of(writer: Type, reader: Record) -> Record | None:
    """The writer's record that is read as the reader's, itself or one of a union."""
    branches = writer.branches if isinstance(writer, Union) else (writer,)
    return next((branch for branch in branches if isinstance(branch, Record) and matches(branch, reader)), None)


def _retype(stream: Stream, path: str) -> str:
    kind = _declared(stream, path)["type"]
    is_array = isinstance(kind, dict) and kind["type"] == "array"
    wanted = f"an array of records {kind['items']['name']}" if is_array else json.dumps(kind)
    return (
        f"The reader wants {wanted}. The rule BACKWARD lets a type change only from int to long, and between string and bytes; else leave "
        "the field out in one version and add it with the right type and a default in the next, while no producer writes in between."
    )


def _declared(stream: Stream, path: str) -> dict[str, Any]:
    """The reader's declaration of a field, as JSON."""
    schema = json.loads(reader_text(stream))
    *arrays, name = path.split(".")
    for array in arrays:
        schema = next(field["type"]["items"] for field in schema["fields"] if field["name"] == array)
    declared: dict[str, Any] = next(field for field in schema["fields"] if field["name"] == name)
    return declared


def _some_value(kind: Type) -> Any:
    """A default that a registry takes for a type."""
    return [] if isinstance(kind, Array) else "" if kind == Primitive("string") else 0
