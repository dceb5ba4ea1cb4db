"""Parquet files, in batches and in bounded memory: of a row group, only so much is held as is decoded."""

from collections.abc import Iterator, Sequence
from typing import BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from worker.errors import ArchiveError
from worker.source.archive.container import damaged

_BUFFER_BYTES = 1 << 20  # of each column; without it a column of a row group is read at once


class Table:
    """One Parquet file. Raises ArchiveError where it is damaged; `name` is what errors call it."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._name = name
        try:
            # INT96 (of old writers) counts nanoseconds: as such, years after 2262 would wrap around unseen.
            self._file = pq.ParquetFile(
                file,
                buffer_size=_BUFFER_BYTES,
                pre_buffer=False,
                coerce_int96_timestamp_unit="us",
                page_checksum_verification=True,
            )
            self.schema: pa.Schema = self._file.schema_arrow
        except (pa.ArrowException, OSError) as error:
            raise ArchiveError(f"{name} is no Parquet file: {error}", "Take it out of the directory, or fetch it again.") from None

    def count(self) -> int:
        """How many rows there are."""
        rows: int = self._file.metadata.num_rows
        return rows

    def batches(self, columns: Sequence[str], first_row: int, max_rows: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        """The rows from `first_row` on, at most `max_rows` at once, each batch with the number of its first row."""
        row, groups = 0, list(range(self._file.metadata.num_row_groups))
        while groups and row + (rows := self._file.metadata.row_group(groups[0]).num_rows) <= first_row:
            row += rows
            del groups[0]
        if not groups:
            return
        try:
            for batch in self._file.iter_batches(max_rows, row_groups=groups, columns=list(columns), use_threads=False):
                row += len(batch)
                if row > first_row:
                    some = batch.slice(max(0, len(batch) - (row - first_row)))
                    yield row - len(some), some
        except (pa.ArrowException, OSError) as error:
            raise damaged(self._name, str(error), row) from None
