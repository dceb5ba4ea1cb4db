"""Avro as others write it: bodies by fastavro, Confluent framing, and random writers of a reader's schema."""

import io
import json
import struct
from collections.abc import Mapping
from random import Random
from typing import Any, TypeAlias, cast
from uuid import UUID

import fastavro
from confluent_kafka import Message as KafkaMessage

from worker.decode.avro import parse, takes_no_bytes
from worker.decode.framing import SchemaRef
from worker.decode.reasons import Reason
from worker.decode.schemas import NoSchema
from worker.events import Message

Json: TypeAlias = Any
Headers: TypeAlias = list[tuple[str, bytes | None]] | None


class GivenSchemas:
    """A schema source: what is given, by id or GUID, and nothing else. `asked` is what it was asked for."""

    def __init__(self, schemas: Mapping[SchemaRef, Json]) -> None:
        self.schemas = schemas
        self.asked: list[SchemaRef] = []

    def text(self, ref: SchemaRef) -> str | NoSchema:
        self.asked.append(ref)
        schema = self.schemas.get(ref)
        return NoSchema(Reason.UNKNOWN_SCHEMA, "not given") if schema is None else json.dumps(schema)


def message(
    value: bytes | None,
    partition: int = 0,
    offset: int = 0,
    key: bytes | None = None,
    headers: Headers = None,
    timestamp: tuple[int, int] | None = None,
    topic: str = "t",
) -> Message:
    """A message as librdkafka hands it out."""
    parts: dict[str, Any] = {
        "topic": topic,
        "partition": partition,
        "offset": offset,
        "key": key,
        "headers": headers,
        "timestamp": timestamp,
    }
    return cast(Message, KafkaMessage(value=value, **parts))


def body(schema: Json, record: Any) -> bytes:
    """The Avro bytes of a record."""
    out = io.BytesIO()
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), record)
    return out.getvalue()


def with_id(schema_id: int, body: bytes) -> bytes:
    """A value with the schema's id in its prefix."""
    return b"\0" + schema_id.to_bytes(4, "big") + body


def guid_header(guid: UUID) -> tuple[str, bytes]:
    """The header that names a schema; the value is then the body alone."""
    return "__value_schema_id", b"\1" + guid.bytes


def number(value: int) -> bytes:
    """A zigzag varint, as long as it takes: for hostile bytes, beyond 64 bits too."""
    rest = value << 1 if value >= 0 else (-value << 1) - 1
    out = bytearray()
    while rest > 127:
        out.append(rest & 127 | 128)
        rest >>= 7
    return bytes([*out, rest])


class RandomAvro:
    """Random writers' schemas and records by them."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self._names = 0

    def writer_of(self, reader: Json) -> Json:
        """A schema that resolves to the reader's: fields reordered, left out, added, narrowed, in unions of any order."""
        fields = [
            {"name": field["name"], "type": self._written(field["type"])}
            for field in reader["fields"]
            if "default" not in field or self.random.random() < 0.7
        ]
        fields += [{"name": self._name(), "type": self.type(3)} for _ in range(self.random.randrange(3))]
        self.random.shuffle(fields)
        return {"type": "record", "name": reader["name"], "fields": fields}

    def _written(self, reader: Json) -> Json:
        if isinstance(reader, dict):
            items = {"type": "array", "items": self.writer_of(reader["items"])}
            return self.random.choice([items, items, [items, "long"], ["null", items]])
        plain = reader[1] if isinstance(reader, list) else reader
        branches = {"string": ["string", "bytes"], "long": ["long", "int"], "int": ["int"]}[plain]
        kept = self.random.sample(branches, self.random.randint(1, len(branches)))
        if isinstance(reader, list) and self.random.random() < 0.7:
            kept = self.random.choice([[*kept, "null"]] * 9 + [["null"]])
        self.random.shuffle(kept)
        return kept if len(kept) > 1 or self.random.random() < 0.3 else kept[0]

    def _name(self) -> str:
        self._names += 1
        return f"Type{self._names}"

    def type(self, depth: int) -> Json:
        """A type that no reader has, with at most so many others around one another."""
        plain = ["null", "boolean", "int", "long", "float", "double", "bytes", "string"]
        match self.random.randrange(12 if depth else 9):
            case 8:
                return {"type": "enum", "name": self._name(), "symbols": [f"S{i}" for i in range(self.random.randint(1, 3))]}
            case 9:
                return {"type": "fixed", "name": self._name(), "size": self.random.randrange(4)}
            case 10:
                return self.random.sample(plain, self.random.randint(1, 4))
            case 11:
                return self._nested(depth - 1)
            case place:
                return plain[place]

    def _nested(self, depth: int) -> Json:
        match self.random.randrange(3):
            case 0:
                items = self.type(depth)  # where they take no bytes, fastavro believes any count
                return {"type": "array", "items": [items] if takes_no_bytes(parse(json.dumps(items))) else items}
            case 1:
                return {"type": "map", "values": self.type(depth)}
        fields = [{"name": f"f{i}", "type": self.type(depth)} for i in range(self.random.randrange(4))]
        return {"type": "record", "name": self._name(), "fields": fields}

    def value(self, schema: Json) -> Any:
        """A value of a type, as fastavro writes it."""
        random = self.random
        if isinstance(schema, list):
            arrays = [branch for branch in schema if isinstance(branch, dict) and branch["type"] == "array"]
            return self.value(random.choice(arrays or schema))
        match schema:
            case {"type": "record", "fields": fields}:
                return {field["name"]: self.value(field["type"]) for field in fields}
            case {"type": "array", "items": items}:
                return [self.value(items) for _ in range(random.choice([0, 1, 1, 2, 5]))]
            case {"type": "map", "values": values}:
                return {self._text(): self.value(values) for _ in range(random.randrange(3))}
            case {"type": "fixed", "size": size}:
                return random.randbytes(size)
            case {"type": "enum", "symbols": symbols}:
                return random.choice(symbols)
            case "int" | "long":
                bits = random.choice([3, 7, 8, 14, 31] if schema == "int" else [3, 7, 14, 40, 55, 56, 57, 63])
                return random.choice([1, -1]) * random.randrange(1 << bits)
            case "float" | "double":
                return struct.unpack("f", struct.pack("f", random.uniform(-1e6, 1e6)))[0]
            case "bytes":
                return self._text().encode()
            case "string":
                return self._text()
        return {"null": None, "boolean": random.random() < 0.5}[schema]

    def _text(self) -> str:
        size = self.random.choice([0, 1, 5, 20, 63, 64, 200])
        return "".join(self.random.choices("abc\0é€😀", weights=[9, 9, 9, 1, 1, 1, 1], k=size))

    def damaged(self, one: bytes) -> bytes:
        """The bytes with some changed, cut off, put in or put after; or as they are."""
        random = self.random
        at, some = random.randint(0, len(one)), random.choice([random.randbytes(random.randint(1, 3)), number(self.value("long"))])
        some = random.choice([some, some, b"\x80" * random.randint(1, 11), number(random.randint(-(1 << 70), 1 << 70))])
        return random.choice([one, one[:at], one[:at] + some + one[at:], one[:at] + some + one[at + len(some) :], one + some])
