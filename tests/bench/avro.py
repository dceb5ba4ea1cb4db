"""Columns as Avro messages."""

from collections.abc import Iterator, Mapping

import numpy as np

from tests.bench.columns import Column, Ids, Lines, Numbers, Words
from tests.bench.encoding import Ints, Pieces, frame, messages, numbers, optional, uuids


def encoded(schema_id: int, columns: Mapping[str, Column], rows: int) -> list[bytes]:
    """A message a row. `columns` are the fields of the writer schema, in its order."""
    return messages([frame(schema_id, rows), *(piece for column in columns.values() for piece in _pieces(column))])


def _pieces(column: Column) -> Iterator[Pieces]:
    match column:
        case Ids(octets):
            yield uuids(octets)
        case Lines(counts, fields):
            yield from _array(counts, fields)
        case Words(vocabulary, codes, present):
            piece = vocabulary.avro.at(codes)
            yield piece if present is None else optional(present, piece)
        case Numbers(values, present):
            yield numbers(values) if present is None else optional(present, numbers(values))


def _array(counts: Ints, fields: Mapping[str, Words | Numbers]) -> Iterator[Pieces]:
    """One block of as many items as there are lines, then the end of the array."""
    yield numbers(counts)
    for line in range(counts.max(initial=0)):
        for field in fields.values():
            for piece in _pieces(_line(field, line)):
                yield piece.where(line < counts)
    yield numbers(np.zeros_like(counts))


def _line(field: Words | Numbers, line: int) -> Words | Numbers:
    present = None if field.present is None else field.present[:, line]
    if isinstance(field, Words):
        return Words(field.vocabulary, field.codes[:, line], present)
    return Numbers(field.values[:, line], present)
