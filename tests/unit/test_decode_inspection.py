"""One message looked at: all of a whole one, as fastavro reads it; of a broken one, what comes before the break."""

import io
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import fastavro
import pytest

from tests.support.avro import message
from tests.support.messages import EPOCH, WRITER_SCHEMAS, Produced
from tests.support.streams import StreamOptions, random_stream
from tests.support.worker import WriterSchemas, order
from worker.decode.framing import SchemaRef
from worker.decode.inspection import FieldRead, inspect
from worker.decode.reasons import Reason
from worker.decode.schemas import NoSchema

SCHEMAS = WriterSchemas()
ORDER = order("o1", "2026-03-05")


class OneSchema:
    """The same for every id."""

    def __init__(self, schema: Any) -> None:
        self._text = schema if isinstance(schema, str) else json.dumps(schema)

    def text(self, _ref: SchemaRef) -> str | NoSchema:
        return self._text


def test_a_whole_message_is_read_as_fastavro_reads_it(seed: int) -> None:
    looked_at = 0
    for each in random_stream(seed, StreamOptions(messages=200, garbage=0.0)):
        if each.value() is None:
            continue
        found = inspect(each, SCHEMAS)
        assert found.ref is not None
        assert found.fault == ""
        schema = WRITER_SCHEMAS[found.ref if isinstance(found.ref, int) else str(found.ref)]
        expected = written(schema, each)
        assert found.record == f"tidemark.events.{schema['name']}"
        assert {field.name: field.value for field in found.fields} == expected
        looked_at += 1
    assert looked_at > 100


def written(schema: Any, each: Produced) -> Any:
    """The record as fastavro gives it, times as numbers."""
    value = each.value() or b""
    body = value if each.headers() and any(name == "__value_schema_id" for name, _ in each.headers() or ()) else value[5:]
    record = fastavro.schemaless_reader(io.BytesIO(body), fastavro.parse_schema(schema), None)
    assert isinstance(record, dict)
    return {name: (time - EPOCH) // timedelta(microseconds=1) if hasattr(time, "tzinfo") else time for name, time in record.items()}


def test_a_message_cut_short_is_read_up_to_the_cut() -> None:
    whole = inspect(ORDER, SCHEMAS).fields
    value = ORDER.value() or b""
    counts = []
    for size in range(len(value)):
        found = inspect(replace(ORDER, value_bytes=value[:size]), SCHEMAS)
        assert found.fault
        assert list(found.fields) == list(whole[: len(found.fields)])
        counts.append(len(found.fields))
    assert counts == sorted(counts)
    assert counts[-1] == len(whole) - 1


def test_a_time_is_told_however_far_off_it_is() -> None:
    micros, millis = ({"type": "long", "logicalType": f"timestamp-{unit}"} for unit in ("micros", "millis"))
    values, body = {"a": 2**63 - 1, "b": 1_772_712_000_000, "c": None, "d": 5}, io.BytesIO()
    fastavro.schemaless_writer(body, _record("long", ["null", "long"], ["null", "long"], "long"), values)
    found = inspect(message(b"\0\0\0\0\1" + body.getvalue()), OneSchema(_record(micros, ["null", millis], ["null", micros], "long")))
    assert found.fields == [
        FieldRead("a", 2**63 - 1, "294247-01-10T04:00:54.775807Z"),
        FieldRead("b", 1_772_712_000_000, "2026-03-05T12:00:00.000Z"),
        FieldRead("c", None),
        FieldRead("d", 5),
    ]


def _record(*kinds: Any) -> dict[str, Any]:
    return {"type": "record", "name": "R", "fields": [{"name": name, "type": kind} for name, kind in zip("abcd", kinds, strict=True)]}


@pytest.mark.parametrize(
    ("value", "schema", "fault"),
    [
        (b"", "{}", "the 0 bytes are too few for a schema id"),
        (b'{"a": 1}', "{}", "magic byte 123"),
        (b"\0\0\0\0\1", "{}", "not a type"),
        (b"\0\0\0\0\1", "{", "not JSON"),
        (b"\0\0\0\0\1", '"long"', "its schema is long, not a record"),
        (b"\0\0\0\0\1more", '{"type": "record", "name": "R", "fields": []}', "4 bytes are left over"),
    ],
)
def test_what_is_no_record_says_why(value: bytes, schema: str, fault: str) -> None:
    found = inspect(message(value), OneSchema(schema))
    assert (list(found.fields), fault in found.fault) == ([], True)


def test_a_schema_that_nobody_knows_is_named() -> None:
    class Nothing:
        def text(self, ref: SchemaRef) -> NoSchema:
            return NoSchema(Reason.UNKNOWN_SCHEMA, f"there is no {ref}")

    found = inspect(ORDER, Nothing())
    assert (found.ref, found.fields, found.fault) == (1, (), "there is no 1")


def test_bytes_that_are_no_text_stay_apart_from_text() -> None:
    value = (ORDER.value() or b"").replace(b"USD", b"\xff\xfeD")
    found = {field.name: field.value for field in inspect(replace(ORDER, value_bytes=value), SCHEMAS).fields}
    assert found["currency"] == "\udcff\udcfeD"
