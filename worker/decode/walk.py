"""A strict walk over one body: every length, count, index and number in it must be possible.

For what fastavro trusts its input with: a billion items of zero bytes, numbers of any length, bytes left over. A walk over a schema
is put together once; it takes time and memory in proportion to the body.
"""

from collections.abc import Callable
from typing import TypeAlias

from worker.decode.avro import Array, Enum, Fixed, Map, Primitive, Record, Type, Union, takes_no_bytes
from worker.decode.columns import MAX_EMPTY_ITEMS

Walk: TypeAlias = Callable[[bytes, int], int]  # body, position -> position after the value; raises Malformed

_LIMITS = {"int": 1 << 31, "long": 1 << 63}
_SIZES = {"null": 0, "boolean": 1, "float": 4, "double": 8}


class Malformed(Exception):
    """The bytes don't follow the writer's schema, or a value can't be read as the reader's. Says which field and why."""

    def __init__(self, fault: str) -> None:
        super().__init__(fault)
        self.fault = fault
        self.path = ""

    def within(self, name: str) -> "Malformed":
        self.path = f"{name}.{self.path}" if self.path else name
        return self

    def __str__(self) -> str:
        return f"{self.path}: {self.fault}" if self.path else self.fault


def walk_over(kind: Type) -> Walk:
    """The walk over values of a type."""
    match kind:
        case Primitive(name="int" | "long" as name):
            limit = _LIMITS[name]
            return lambda body, at: _number(body, at, limit)[1]
        case Primitive(name="string" | "bytes"):
            return _over_text
        case Primitive(name=name):
            return _over_bytes(_SIZES[name])
        case Fixed(size=size):
            return _over_bytes(size)
        case Enum(symbols=symbols):
            return lambda body, at: _index(body, at, len(symbols), "symbols")[1]
        case Union(branches=branches):
            return _over_union([walk_over(branch) for branch in branches])
        case Array(items=items):
            return _over_blocks(walk_over(items), takes_no_bytes(items))
        case Map(values=values):
            return _over_blocks(_over_entry(walk_over(values)), is_empty=False)
        case Record():
            return _over_record(kind)


def _number(body: bytes, at: int, limit: int = _LIMITS["long"]) -> tuple[int, int]:
    """The zigzag number at a position, and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(body):
            raise Malformed("the message ends within it")
        byte = body[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            value = (value >> 1) ^ -(value & 1)
            if not -limit <= value < limit:
                raise Malformed(f"{value} doesn't fit its {limit.bit_length()} bits")
            return value, at
    raise Malformed(f"a number of more than 10 bytes, up to byte {at}")


def _index(body: bytes, at: int, count: int, what: str) -> tuple[int, int]:
    index, at = _number(body, at)
    if not 0 <= index < count:
        raise Malformed(f"index {index} into {count} {what}")
    return index, at


def _advanced(body: bytes, at: int, size: int) -> int:
    left = len(body) - at
    if not 0 <= size <= left:
        raise Malformed(f"{size} bytes are announced at byte {at}, where {left} are left")
    return at + size


def _over_text(body: bytes, at: int) -> int:
    size, at = _number(body, at)
    return _advanced(body, at, size)


def _over_bytes(size: int) -> Walk:
    return lambda body, at: _advanced(body, at, size)


def _over_union(branches: list[Walk]) -> Walk:
    def walk(body: bytes, at: int) -> int:
        index, at = _index(body, at, len(branches), "branches of a union")
        return branches[index](body, at)

    return walk


def _over_entry(value: Walk) -> Walk:
    return lambda body, at: value(body, _over_text(body, at))


def _over_record(record: Record) -> Walk:
    fields = [(field.name, walk_over(field.type)) for field in record.fields]

    def walk(body: bytes, at: int) -> int:
        for name, over in fields:
            try:
                at = over(body, at)
            except Malformed as error:
                raise error.within(name) from None
        return at

    return walk


def _over_blocks(item: Walk, is_empty: bool) -> Walk:
    """Over the blocks of an array or map; `is_empty`: its items take no bytes."""

    def walk(body: bytes, at: int) -> int:
        read = 0
        while True:
            count, at = _number(body, at)
            if not count:
                return at
            stop = None
            if count < 0:
                size, at = _number(body, at)
                count, stop = -count, at + size
            left = MAX_EMPTY_ITEMS - read if is_empty else len(body) - at
            if count > left:
                raise Malformed(f"{count} items are announced before byte {at}; at most {left} are possible")
            for place in range(read, read + count):
                try:
                    at = item(body, at)
                except Malformed as error:
                    raise error.within(str(place)) from None
            read += count
            if stop not in (None, at):
                raise Malformed(f"a block of items ends at byte {at}; it was announced to end at {stop}")

    return walk
