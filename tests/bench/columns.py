"""Columns of events, whatever they are written as: words of a vocabulary, numbers, moments, ids, lines of an order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import pyarrow as pa

from tests.bench.encoding import Bools, Ints, Octets, Pieces, texts


class Vocabulary:
    """Words that columns name by their number."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words

    @cached_property
    def avro(self) -> Pieces:
        return texts(self.words)

    @cached_property
    def arrow(self) -> pa.Array:
        return pa.array(self.words, pa.string())


@dataclass(frozen=True, slots=True)
class Words:
    """`codes`: of each row, shape (n,), or of each row's lines, (n, most). `present`: of the same shape; None where never null."""

    vocabulary: Vocabulary
    codes: Ints
    present: Bools | None = None


@dataclass(frozen=True, slots=True)
class Numbers:
    """Integers, as Words has codes; moments are UTC microseconds."""

    values: Ints
    present: Bools | None = None


@dataclass(frozen=True, slots=True)
class Ids:
    """UUIDs, shape (n, 16)."""

    octets: Octets


@dataclass(frozen=True, slots=True)
class Lines:
    """Of row i the first counts[i] lines of each field, whose shape is (n, most)."""

    counts: Ints
    fields: Mapping[str, Words | Numbers]


Column: TypeAlias = Words | Numbers | Ids | Lines
