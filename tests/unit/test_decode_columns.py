"""The columnar decoder against fastavro: random writers of a reader's schema, random records, random damage."""

import io
import json
from typing import Any

import fastavro
import numpy as np
import pytest
from fastavro.validation import validate

from tests.support.avro import Json, RandomAvro, body
from worker.decode import avro, columns
from worker.decode.cursor import Buffer
from worker.decode.plan import resolve
from worker.decode.reread import Rereader
from worker.decode.walk import Malformed

MAYBE_TEXT = ["null", "string"]
ITEM = {
    "type": "record",
    "name": "Item",
    "fields": [
        {"name": "product", "type": "string"},
        {"name": "category", "type": MAYBE_TEXT, "default": None},
        {"name": "quantity", "type": "int"},
        {"name": "cost", "type": ["null", "long"], "default": None},
    ],
}
READER = {
    "type": "record",
    "name": "Thing",
    "fields": [
        {"name": "id", "type": "string"},
        {"name": "note", "type": MAYBE_TEXT, "default": None},
        {"name": "score", "type": ["null", "int"], "default": None},
        {"name": "price", "type": "long"},
        {"name": "items", "type": {"type": "array", "items": ITEM}},
        {"name": "origin", "type": "string", "default": "nowhere"},
        {"name": "rank", "type": "int", "default": 7},
    ],
}
ROUNDS = 60  # random writers


def parsed(schema: Json) -> avro.Record:
    record = avro.parse(json.dumps(schema))
    assert isinstance(record, avro.Record)
    return record


def read(writer: Json, bodies: list[bytes], reader: Json = READER) -> tuple[list[dict[str, Any]], list[bool]]:
    """The columnar decoder's records, and which of them are well-formed."""
    sizes = np.array([len(one) for one in bodies], np.int64)
    end = np.cumsum(sizes)
    buffer = Buffer(b"".join([*bodies, columns.PADDING]))
    batch, ok = columns.read(resolve(parsed(writer), parsed(reader)), buffer, end - sizes, end)
    batch.filter(ok).validate(full=True)
    records = iter(batch.filter(ok).to_pylist())
    return [next(records) if is_ok else {} for is_ok in ok], ok.tolist()


def by_fastavro(writer: Json, one: bytes) -> Any:
    return fastavro.schemaless_reader(io.BytesIO(one), fastavro.parse_schema(writer), fastavro.parse_schema(READER))


def some_writer(seed: int) -> tuple[RandomAvro, Json, list[bytes]]:
    """A random writer and the bodies of some records by it."""
    generator = RandomAvro(seed)
    writer = generator.writer_of(READER)
    return generator, writer, [body(writer, generator.value(writer)) for _ in range(generator.random.choice([1, 3, 30]))]


@pytest.mark.parametrize("number", range(ROUNDS))
def test_columns_and_single_records_hold_what_fastavro_reads(seed: int, number: int) -> None:
    _, writer, bodies = some_writer(seed + number)
    expected = [by_fastavro(writer, one) for one in bodies]
    assert read(writer, bodies) == (expected, [True] * len(bodies))
    rereader = Rereader(parsed(writer), parsed(READER))
    assert [rereader.read(one) for one in bodies] == expected


@pytest.mark.parametrize("number", range(ROUNDS))
def test_damage_is_told_in_its_own_record_only(seed: int, number: int) -> None:
    generator, writer, bodies = some_writer(seed + number)
    bodies = [generator.damaged(one) for one in bodies]
    rereader = Rereader(parsed(writer), parsed(READER))
    for one, record, is_ok in zip(bodies, *read(writer, bodies), strict=True):
        try:
            again = rereader.read(one)
        except Malformed:
            again = None
        assert again == (record if is_ok else None)


@pytest.mark.parametrize("number", range(ROUNDS))
def test_nothing_is_read_that_fastavro_refuses_and_all_that_it_would_write_so(seed: int, number: int) -> None:
    generator, writer, bodies = some_writer(seed + number)
    bodies = [generator.damaged(one) for one in bodies]
    schema = fastavro.parse_schema(writer)
    for one, record, is_ok in zip(bodies, *read(writer, bodies), strict=True):
        if is_ok:
            assert record == by_fastavro(writer, one)
            continue
        try:
            whole = fastavro.schemaless_reader(io.BytesIO(one), schema, None)  # first: what it skips, it does not check
            by_fastavro(writer, one)
        # fastavro tells damage by whatever its reading came upon
        except Exception:
            continue
        assert not validate(whole, schema, raise_errors=False) or body(schema, whole) != one
