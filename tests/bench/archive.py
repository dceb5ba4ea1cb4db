"""Columns as Parquet files, the way a sink leaves them: in order of arrival, so that a row group spans the days of its late rows."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.columns import Column, Ids, Lines, Numbers, Words
from tests.bench.data import Orders, Shop, Touchpoints
from tests.bench.encoding import Bools, Ints, hexadecimal
from tests.support.archives import arrow_schema

_ROW_GROUP = 100_000


def write(directory: Path, shop: Shop, *, with_updates: bool = True) -> None:
    """Add the shop to the archive: a file of its orders, one of its touchpoints."""
    part = f"{shop.shape.part:05d}.parquet"
    orders = shop.orders
    _write(directory / f"orders-{part}", "orders", orders, orders.arrivals if with_updates else orders.first_versions)
    _write(directory / f"touchpoints-{part}", "touchpoints", shop.touchpoints, shop.touchpoints.arrivals)


def _write(path: Path, stream: str, events: Orders | Touchpoints, rows: Ints) -> None:
    known = arrow_schema(stream)
    schema = pa.schema([known.field(name) for name in events.columns(rows[:0])])
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for start in range(0, len(rows), _ROW_GROUP):
            columns = events.columns(rows[start : start + _ROW_GROUP])
            writer.write_table(pa.table({name: _array(column) for name, column in columns.items()}).cast(schema))


def _array(column: Column) -> pa.Array:
    match column:
        case Ids(octets):
            return pa.StringArray.from_buffers(
                len(octets), pa.py_buffer(np.arange(len(octets) + 1, dtype=np.int32) * 36), pa.py_buffer(hexadecimal(octets))
            )
        case Lines(counts, fields):
            is_there = np.arange(counts.max(initial=0)) < counts[:, None]
            lines = {name: _flat(field, is_there) for name, field in fields.items()}
            offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
            return pa.ListArray.from_arrays(offsets, pa.StructArray.from_arrays(list(lines.values()), list(lines)))
        case Words(vocabulary, codes, present):
            return vocabulary.arrow.take(pa.array(codes, mask=_absent(present)))
        case Numbers(values, present):
            return pa.array(values, mask=_absent(present))


def _absent(present: Bools | None) -> Bools | None:
    return None if present is None else ~present


def _flat(field: Words | Numbers, is_there: Bools) -> pa.Array:
    """The lines of all rows, one after another."""
    width = is_there.shape[1]
    present = None if field.present is None else field.present[:, :width][is_there]
    if isinstance(field, Words):
        return _array(Words(field.vocabulary, field.codes[:, :width][is_there], present))
    return _array(Numbers(field.values[:, :width][is_there], present))
