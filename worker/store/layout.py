"""How tables lie in the file: their row groups, the days that those span, the blocks that they take."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import duckdb

from worker.store.sql import run


@dataclass(frozen=True, slots=True)
class RowGroup:
    """`start`: its first rowid. `first`, `last`: the days that its zone map spans (None: its table has no day)."""

    start: int
    stored_rows: int
    first: date | None
    last: date | None
    blocks: frozenset[int]


@dataclass(frozen=True, slots=True)
class Layout:
    """One table. `days`: its days, ascending, each with its rows; a table without a day has all rows under None.

    `groups`: its row groups in the order of their rows; their stored_rows are the table's rows and those that are deleted but still there.
    """

    table: str
    days: Sequence[tuple[date | None, int]]
    groups: Sequence[RowGroup]

    @property
    def rows(self) -> int:
        return sum(rows for _, rows in self.days)

    @property
    def stored_rows(self) -> int:
        return sum(group.stored_rows for group in self.groups)

    @property
    def blocks(self) -> frozenset[int]:
        return frozenset[int]().union(*(group.blocks for group in self.groups))


@dataclass(frozen=True, slots=True)
class Blocks:
    """The file's blocks: of `size` bytes each, `total` in the file, `used` of them by something."""

    size: int
    total: int
    used: int


@dataclass(frozen=True, slots=True)
class TableSpace:
    """What a table takes of the file; `bytes` are whole blocks, one that several tables share in equal parts."""

    table: str
    rows: int
    stored_rows: int
    row_groups: int
    bytes: float

    @property
    def bytes_per_row(self) -> float | None:
        """None where there is no row."""
        return self.bytes / self.rows if self.rows else None


@dataclass(frozen=True, slots=True)
class Space:
    """The bytes of the file (without its write-ahead log), those that are free in it, and its tables, the largest first."""

    file_bytes: int
    free_bytes: int
    tables: Sequence[TableSpace]


def space(connection: duckdb.DuckDBPyConnection) -> Space:
    """What takes how much of the file, as of the last checkpoint. Reads every table's column `day`."""
    blocks, found = file_blocks(connection), layouts(connection)
    sharing = Counter(block for layout in found for block in layout.blocks)
    tables = [
        TableSpace(
            layout.table,
            layout.rows,
            layout.stored_rows,
            len(layout.groups),
            sum(blocks.size / sharing[block] for block in layout.blocks),
        )
        for layout in found
    ]
    free_bytes = blocks.size * (blocks.total - blocks.used)
    return Space(blocks.size * blocks.total, free_bytes, sorted(tables, key=lambda table: -table.bytes))


def file_blocks(connection: duckdb.DuckDBPyConnection) -> Blocks:
    """The file's blocks, as of the last checkpoint."""
    row = connection.execute(
        "select block_size, total_blocks, used_blocks from pragma_database_size() where database_name = current_database()"
    ).fetchone()
    assert row is not None
    return Blocks(*row)


def layouts(connection: duckdb.DuckDBPyConnection) -> list[Layout]:
    """Every table of the file."""
    tables = connection.execute(
        "select t.table_name, bool_or(c.column_name = 'day') from duckdb_tables() as t "
        "join duckdb_columns() as c on c.table_oid = t.table_oid and c.database_oid = t.database_oid "
        "where t.database_name = current_database() and t.schema_name = 'main' and not t.temporary and not t.internal "
        "group by t.table_name order by t.table_name"
    ).fetchall()
    return [_layout(connection, table, has_day) for table, has_day in tables]


def _layout(connection: duckdb.DuckDBPyConnection, table: str, has_day: bool) -> Layout:
    days = f"select day, count(*) from {table} group by day order by day" if has_day else f"select null, count(*) from {table}"
    rows = connection.execute(days).fetchall()
    groups: list[RowGroup] = []
    start = 0
    for stored_rows, first, last, blocks in run(connection, "compact/row_groups", {"table": table}).fetchall():
        groups.append(RowGroup(start, stored_rows, first, last, frozenset(blocks)))
        start += stored_rows
    return Layout(table, rows, groups)
