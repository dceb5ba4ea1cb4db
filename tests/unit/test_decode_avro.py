"""Hostile and unusual schemas: what is refused, in bounded time, and what resolves."""

import json
from typing import Any

import pytest

from tests.support.avro import Json
from worker.decode import avro
from worker.decode.plan import NotColumnar, Unresolvable, resolve


def record(name: str, **fields: Json) -> Json:
    return {"type": "record", "name": name, "fields": [{"name": field, "type": kind} for field, kind in fields.items()]}


def chain(length: int, doubled: bool) -> Json:
    """Records each of which holds the one before it, once or twice: written out, as deep as it is long, or exponential."""
    schema: Json = record("R0", a="null")
    for number in range(1, length):
        schema = record(f"R{number}", a=schema, **({"b": f"R{number - 1}"} if doubled else {}))
    return schema


@pytest.mark.parametrize(
    ("schema", "refusal"),
    [
        (record("Node", next=["null", "Node"]), "recursive type Node"),
        (record("A", b=record("B", a={"type": "array", "items": "A"})), "recursive type A"),
        (record("A", b=record("A", c="int")), "A is defined twice, or within itself"),
        ([record("A", c="int"), record("A", c="long")], "A is defined twice, or within itself"),
        (record("string", c="int"), "string is defined twice, or within itself"),
        (chain(30, doubled=False), "types nested more than 24 deep"),
        (chain(15, doubled=True), "written out, the schema is"),
        (record("A", b="Missing"), "unknown type 'Missing'"),
        (record("A", b=[]), "a union is empty or directly within a union"),
        (record("A", b=[["null"]]), "a union is empty or directly within a union"),
        (record("A", b=["int", {"type": "int"}]), "a union has a type twice"),
        (record("A", b=[{"type": "array", "items": "int"}, {"type": "array", "items": "long"}]), "a union has a type twice"),
        (record("A", b={"type": "enum", "name": "E", "symbols": ["X", "X"]}), "the symbols of E are not distinct names"),
        (record("A", b={"type": "fixed", "name": "F", "size": -1}), "incomplete: {type, name, size}"),
        (record("A", b={"type": "array"}), "incomplete: {type}"),
        ({"type": "record", "name": "A", "fields": [{"name": "a"}]}, "not a field: {name}"),
        ({"type": "record", "name": "A", "fields": [{"name": "a", "type": "int"}] * 2}, "A has a field twice"),
        (17, "not a type: 17"),
        (None, "not a type: None"),
        (record("A", **{f"f{i}": "int" for i in range(5_000)}), "written out, the schema is 2 deep and has 5,001 types"),
    ],
)
def test_a_hostile_schema_is_refused(schema: Json, refusal: str) -> None:
    with pytest.raises(avro.SchemaRefused) as raised:
        avro.parse(json.dumps(schema))
    assert refusal in str(raised.value)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, '{"type":' * 100_000, " " * (avro.MAX_TEXT + 1), "1" * 10_000])
def test_what_is_not_json_of_bounded_depth_is_refused(text: str) -> None:
    with pytest.raises(avro.SchemaRefused):
        avro.parse(text)


def test_names_are_found_in_their_namespace() -> None:
    schema = {
        "type": "record",
        "name": "A",
        "namespace": "shop",
        "fields": [
            {"name": "one", "type": {"type": "enum", "name": "E", "symbols": ["X"]}},
            {"name": "two", "type": "E"},
            {"name": "three", "type": ["null", "shop.E"]},
            {"name": "four", "type": {"type": "fixed", "name": "other.F", "size": 2}},
            {"name": "five", "type": "other.F"},
        ],
    }
    parsed = avro.parse(json.dumps(schema))
    enum, fixed = avro.Enum("shop.E", ("X",)), avro.Fixed("other.F", 2)
    assert isinstance(parsed, avro.Record)
    assert [field.type for field in parsed.fields] == [enum, enum, avro.Union((avro.NULL, enum)), fixed, fixed]


READER = record("Order", id="string", total="long", note=["null", "string"], items={"type": "array", "items": record("Item", n="int")})


def outcome(writer: Json) -> str:
    reader = avro.parse(json.dumps(READER))
    assert isinstance(reader, avro.Record)
    try:
        resolve(avro.parse(json.dumps(writer)), reader)
    except (NotColumnar, Unresolvable) as error:
        return f"{type(error).__name__}: {error}"
    return "resolved"


def changed(**fields: Json) -> Json:
    parts: dict[str, Any] = {field["name"]: field["type"] for field in READER["fields"]} | fields
    return record("Order", **{name: kind for name, kind in parts.items() if kind is not None})


@pytest.mark.parametrize(
    ("writer", "expected"),
    [
        (changed(), "resolved"),
        (changed(id="bytes", total="int", note="string"), "resolved"),
        (changed(id={"type": "enum", "name": "E", "symbols": ["X"]}), "resolved"),
        (changed(id=["null", "string"], items=["null", READER["fields"][3]["type"]]), "resolved"),
        ({**READER, "name": "other.space.Order"}, "resolved"),
        ({**READER, "name": "Touchpoint"}, "Unresolvable: the writer's schema is Touchpoint, not a record Order"),
        ("string", "Unresolvable: the writer's schema is string, not a record Order"),
        (changed(id=None), "Unresolvable: the writer's Order has no id, and the reader no default"),
        (changed(note=None), "Unresolvable: the writer's Order has no note, and the reader no default"),
        (changed(total="double"), "Unresolvable: the writer's total is double, which can't be read as int64"),
        (changed(total=["null", "double"]), "Unresolvable: the writer's total is a union of null, double, which can't be read as int64"),
        (changed(note="null"), "resolved"),
        (changed(id="null"), "Unresolvable: the writer's id is null, which can't be read as string"),
        (changed(items={"type": "array", "items": "int"}), "Unresolvable: the writer's items is not an array of Item"),
        (
            changed(items={"type": "array", "items": record("Item", n="long")}),
            "Unresolvable: the writer's n is long, which can't be read as int32",
        ),
        (changed(items={"type": "array", "items": ["null", record("Item", n="int")]}), "NotColumnar: a union of records in items"),
        (["null", READER], "NotColumnar: a union of records"),
        (["null", record("Touchpoint", a="int")], "Unresolvable: none of the writer's union is a record Order"),
    ],
)
def test_a_writer_resolves_to_the_reader_or_is_of_another_stream(writer: Json, expected: str) -> None:
    assert outcome(writer) == expected
