"""The parts of an archive, whatever their kind: a Parquet file, an Avro file, the result of a mapping's SELECT."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, NamedTuple, Protocol, TypeAlias

from worker.config.settings import did_you_mean
from worker.decode.rows import AvroFile, OriginColumns, RowReader, Rows, Unreadable
from worker.errors import ArchiveError, ConfigError
from worker.events import Stream
from worker.source.archive import ArchiveFile, Container, Format, Table, opened
from worker.store.mapping import MappedQuery


@dataclass(frozen=True, slots=True)
class Mapped:
    """Rows of a stream by one SELECT over the directory; `path` is that of its .sql file."""

    path: str
    stream: Stream
    sql: str


Part: TypeAlias = ArchiveFile | Mapped


class Piece(NamedTuple):
    """Some rows of a part, the first of them its row number `first_row`. `checksum`: of a mapping's rows up to their end."""

    first_row: int
    rows: Rows
    checksum: int = 0


class Source(Protocol):
    """A part, opened. All methods raise ArchiveError where it can't be read."""

    def count(self) -> int | None:
        """Its rows; None where only reading tells."""
        ...

    def pieces(self, first_row: int, max_rows: int) -> Iterator[Piece]:
        """The rows from `first_row` on, at most `max_rows` in a piece."""
        ...

    def close(self) -> None:
        """Let go of the file. May be called twice."""
        ...


@dataclass(frozen=True, slots=True)
class Archive:
    """How the parts below a directory are opened. `memory_limit` is DuckDB's, for a SELECT."""

    directory: Path
    origin: OriginColumns
    memory_limit: str

    def reader(self, part: Part) -> RowReader:
        """Of the part's rows."""
        return RowReader(part.stream, self.origin)

    def open(self, part: Part, checksum: int = 0) -> Source:
        """`checksum`: of the rows of a mapping that were read before.

        Raises ArchiveError: damaged, or its columns can't be its stream's; ConfigError: the SELECT is wrong.
        """
        reader, name = self.reader(part), self.name(part)
        if isinstance(part, Mapped):
            return _Result(MappedQuery(part.sql, name, self.directory, self.memory_limit), reader, name, checksum)
        file = opened(self.directory, part)
        try:
            return (_Parquet if part.format is Format.PARQUET else _Avro)(file, reader, name)
        except Unreadable as error:
            file.close()
            remedy = "Is it of another stream? (--stream) Map its columns by a SELECT (--map), or take it out of the directory."
            raise ArchiveError(f"{name} can't be read as {part.stream}: {error}", remedy) from None
        except BaseException:
            file.close()
            raise

    def name(self, part: Part) -> str:
        """What errors and rejected rows call it."""
        return part.path if isinstance(part, Mapped) else str(self.directory / part.path)


class _Parquet:
    def __init__(self, file: BinaryIO, reader: RowReader, name: str) -> None:
        self._file, self._reader, self._table = file, reader, Table(file, name)
        reader.check(self._table.schema)

    def count(self) -> int:
        return self._table.count()

    def pieces(self, first_row: int, max_rows: int) -> Iterator[Piece]:
        names = [name for name in self._table.schema.names if name in self._reader.names]
        for row, batch in self._table.batches(names, first_row, max_rows):
            yield Piece(row, self._reader.arrow_rows(batch))

    def close(self) -> None:
        self._file.close()


class _Avro:
    def __init__(self, file: BinaryIO, reader: RowReader, name: str) -> None:
        self._file, self._container = file, Container(file, name)
        self._reading: AvroFile = reader.avro_file(self._container.schema, name)

    def count(self) -> int:
        return self._container.count()

    def pieces(self, first_row: int, max_rows: int) -> Iterator[Piece]:
        for row, rows in self._reading.pieces(self._container.blocks(first_row), first_row, max_rows):
            yield Piece(row, rows)

    def close(self) -> None:
        self._file.close()


class _Result:
    def __init__(self, query: MappedQuery, reader: RowReader, name: str, checksum: int) -> None:
        self._query, self._reader, self._checksum = query, reader, checksum
        try:
            self._check(name)
        except BaseException:
            query.close()
            raise

    def _check(self, name: str) -> None:
        """A column that nobody reads is a slip of the pen here, not another's business as in a file."""
        names = self._reader.names
        if unknown := [column for column in self._query.schema.names if column not in names]:
            faults = [f"{column} is no column of the stream{did_you_mean(column, names)}" for column in unknown]
            raise ConfigError(f"{name}: {'; '.join(faults)}", f"These are: {', '.join(sorted(names))}")
        try:
            self._reader.check(self._query.schema)
        except Unreadable as error:
            raise ConfigError(f"{name}: {error}", "Name and cast each column: select cast(x as bigint) as cost_cents, ..") from None

    def count(self) -> None:
        return None

    def pieces(self, first_row: int, max_rows: int) -> Iterator[Piece]:
        for row, batch, after in self._query.batches(first_row, self._checksum, max_rows):
            yield Piece(row, self._reader.arrow_rows(batch), after)

    def close(self) -> None:
        self._query.close()
