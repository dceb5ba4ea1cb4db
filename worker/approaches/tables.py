"""Tables in day partitions, in memory, that count what is read of them as a warehouse bills it: whole columns of whole partitions.

Bytes are logical, by BigQuery's rule: 8 for a number, date or time (16 for a sum of 128 bits), 2 and its length for a text or
bytes, nothing for a null.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date

import pyarrow as pa
import pyarrow.compute as pc

_NUMBER, _DECIMAL = 8, 16
_TEXT = 2  # beside a text's own bytes


@dataclass(slots=True)
class Reads:
    """Rows and logical bytes read, by table; a row that is read twice counts twice."""

    rows: Counter[str] = field(default_factory=Counter)
    bytes: Counter[str] = field(default_factory=Counter)

    def add(self, table: str, rows: int, size: int) -> None:
        self.rows[table] += rows
        self.bytes[table] += size


def logical_bytes(column: pa.Array | pa.ChunkedArray) -> int:
    """The size of a column's values, however they are encoded."""
    if isinstance(column, pa.ChunkedArray):
        return sum(logical_bytes(chunk) for chunk in column.chunks)
    kind, present = column.type, len(column) - column.null_count
    if isinstance(kind, pa.OpaqueType) and kind.type_name == "hugeint":
        size = present * _DECIMAL
    elif isinstance(kind, pa.BaseExtensionType):
        size = logical_bytes(column.storage)
    elif pa.types.is_list(kind):
        size = logical_bytes(column.flatten())
    elif pa.types.is_struct(kind):
        size = sum(map(logical_bytes, column.flatten()))
    elif pa.types.is_fixed_size_binary(kind):
        size = present * (_TEXT + kind.byte_width)
    elif pa.types.is_string(kind) or pa.types.is_binary(kind):
        size = present * _TEXT + (pc.sum(pc.binary_length(column)).as_py() or 0)
    else:
        assert pa.types.is_integer(kind) or pa.types.is_temporal(kind), kind
        size = present * _NUMBER
    return int(size)


@dataclass(slots=True)
class _Partition:
    rows: pa.Table
    sizes: Counter[str]


class Partitioned:
    """One table, by day."""

    def __init__(self, name: str, schema: pa.Schema) -> None:
        self._name = name
        self._schema = schema
        self._partitions: dict[date, _Partition] = {}

    def append(self, day: date, rows: pa.Table) -> None:
        """Add rows to the partition of a day."""
        sizes = Counter({name: logical_bytes(rows[name]) for name in self._schema.names})
        if before := self._partitions.get(day):
            rows, sizes = pa.concat_tables([before.rows, rows]).combine_chunks(), before.sizes + sizes
        self._partitions[day] = _Partition(rows, sizes)

    def replace(self, day: date, rows: pa.Table) -> None:
        """Put rows in the place of a day's partition."""
        self._partitions.pop(day, None)
        self.append(day, rows)

    def days(self, first: date) -> list[date]:
        """The days from `first` on that have a partition."""
        return [day for day in self._partitions if day >= first]

    def read(self, reads: Reads, columns: Sequence[str] | None = None, days: Iterable[date] | None = None) -> pa.Table:
        """Some columns of some days (all by default): what is handed over is what `reads` is told of."""
        names = columns or self._schema.names
        found = [self._partitions[day] for day in (self._partitions if days is None else days) if day in self._partitions]
        reads.add(self._name, sum(len(part.rows) for part in found), sum(part.sizes[name] for part in found for name in names))
        none = self._schema.empty_table().select(names)
        return pa.concat_tables([none, *(part.rows.select(names) for part in found)]).combine_chunks()


def by_day(rows: pa.Table) -> Iterator[tuple[date, pa.Table]]:
    """The rows of each day, ascending."""
    for day in sorted(pc.unique(rows["day"]).to_pylist()):
        yield day, rows.filter(pc.equal(rows["day"], pa.scalar(day)))
