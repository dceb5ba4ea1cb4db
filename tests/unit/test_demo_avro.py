"""The demo's Avro writer, judged by fastavro's reader."""

import io
import json
from typing import Any

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.demo.avro import encoder, framed

LINE = {
    "type": "record",
    "name": "Line",
    "fields": [
        {"name": "text", "type": "string"},
        {"name": "number", "type": "long"},
        {"name": "when", "type": ["null", {"type": "long", "logicalType": "timestamp-micros"}]},
        {"name": "parts", "type": {"type": "array", "items": ["null", "int"]}},
    ],
}
LONGS = st.integers(-(2**63), 2**63 - 1)
TIMES = st.integers(0, 4_000_000_000_000_000)


def plain(schema: Any) -> Any:
    """The schema without logical types, so that fastavro gives back the numbers."""
    return json.loads(json.dumps(schema).replace('"logicalType"', '"noted"'))


@given(st.text(), LONGS, st.none() | TIMES, st.lists(st.none() | st.integers(-(2**31), 2**31 - 1), max_size=70))
def test_what_is_written_is_read_back(text: str, number: int, when: int | None, parts: list[int | None]) -> None:
    written = io.BytesIO(encoder(LINE)((text, number, when, parts)))
    read = fastavro.schemaless_reader(written, plain(LINE), None)
    assert isinstance(read, dict)
    assert tuple(read.values()) == (text, number, when, parts)
    assert not written.read()


def test_a_framed_value_begins_with_a_zero_byte_and_the_schema_id() -> None:
    assert framed(258, "string")("a") == b"\0\0\0\1\2" + b"\2a"


def test_a_row_with_a_field_too_few_is_not_written() -> None:
    with pytest.raises(ValueError, match="zip"):
        encoder(LINE)(("a", 1, None))


def test_a_type_that_the_contracts_do_not_use_is_refused() -> None:
    with pytest.raises(KeyError, match="double"):
        encoder("double")
