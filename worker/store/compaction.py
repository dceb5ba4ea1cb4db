"""Compaction: rows of closed days are written anew in the order of their days, and the end of the file is given back.

A table grows in order of arrival. Late rows stand far from the others of their day, so that the zone maps of many row groups span it and
who looks for the day reads them all; rows that were replaced or deleted leave holes. A unit takes some days' rows out of a table and puts
them back at its end, in order; the next checkpoint drops the row groups that are empty by then, and what is written later fills their
blocks before the file grows. Only what is free at the file's end goes back to the operating system: so, once all is in order, whatever
stands there is moved too, into the free blocks before it.

    for _ in range(ROUNDS):  # two, seldom three, bring it to rest; a worker that goes on writing may keep it busy for ever
        for unit in plan(connection, before):
            rewrite(connection, unit)  # in a transaction of its own
            while not give_back(connection): ..  # somebody reads what was before: wait, or the file grows by unit after unit

Every transaction leaves the tables whole: a compaction may end anywhere, and `plan` says what is left to do. Nor may it be asked before
`give_back` was True, for it would see the row groups that are still kept for readers, and plan the same again.

The file grows meanwhile by twice what is moved at once: a unit, or a day that is larger. Where most row groups hold rows of most days, it
grows by up to a third of the table: DuckDB drops holes only where four row groups fit into three. A block of metadata that stands at the
file's end may keep its place until the file is opened again: then the next checkpoint gives the rest back.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from math import ceil

import duckdb

from worker.store.database import ROW_GROUP
from worker.store.layout import Blocks, Layout, RowGroup, file_blocks, layouts

UNIT_ROWS = 15 * ROW_GROUP  # about a second's work
ROUNDS = 4
_HOLES = 1 / 8  # rows that are deleted but still there, of those that are stored: more of them are worth a rewrite

# Rows are ordered by day and then by this, and a day that is larger than a unit is divided by it.
_KEYS = {
    "touchpoint": "occurred_at",
    "order_current": "order_id",
    "customer_day": "customer_id",
    "customer_channel_day": "customer_id",
    "customer_sales_day": "customer_id",
    "session_day": "session_id",
    "customer_first": "customer_id",
    "customer": "customer_id",
    "product": "product_id",
    "product_stock": "product_id",
    "tombstone": "id",
    "rejected": "id",
    "expired": "id",
}
_GENERATED = {"touchpoint": "event_id"}


@dataclass(frozen=True, slots=True)
class Unit:
    """What one transaction writes anew: a table's rows of the days `first` to `last`, or all rows of a table without a day (None).

    `part` of `parts`: of those, only the rows whose key's hash falls into this part. `rows` and `bytes` are estimates.
    """

    table: str
    first: date | None
    last: date | None
    part: int
    parts: int
    rows: int
    bytes: int


def plan(connection: duckdb.DuckDBPyConnection, before: date | None, unit_rows: int = UNIT_ROWS) -> list[Unit]:
    """What is worth rewriting now; nothing, once all is as it should be.

    First the days before `before` (None: no day is closed) that lie scattered or among holes. Where there are none, what stands at the end
    of a file that could be shorter, whatever its day. Reads the column `day` of every table.
    """
    found, blocks = layouts(connection), file_blocks(connection)
    disordered = {layout.table: _scattered(layout, before) | _among_holes(connection, layout, before) for layout in found}
    days = disordered if any(disordered.values()) else _at_the_end(found, blocks, unit_rows)
    return [unit for layout in found for unit in _units(layout, days[layout.table], unit_rows, blocks.size)]


def rewrite(connection: duckdb.DuckDBPyConnection, unit: Unit) -> int:
    """Put the unit's rows at the end of their table, in order, within the caller's transaction. Returns how many there were."""
    columns = f"* exclude ({_GENERATED[unit.table]})" if unit.table in _GENERATED else "*"
    which, parameters = _which(unit)
    order = ", ".join(filter(None, ("day" if unit.first else None, _KEYS.get(unit.table)))) or "all"
    connection.execute(f"create or replace temp table rewritten as select {columns} from {unit.table} {which}", parameters)
    connection.execute(f"delete from {unit.table} {which}", parameters)
    counted = connection.execute(f"insert into {unit.table} by name select * from rewritten order by {order}").fetchone()
    connection.execute("drop table rewritten")
    assert counted is not None
    return int(counted[0])


def give_back(connection: duckdb.DuckDBPyConnection) -> bool:
    """Checkpoint, outside a transaction: emptied row groups are dropped, and what is free at the file's end goes back to the system.

    False where another connection reads what was before the last commit: DuckDB keeps deleted rows then. Raises duckdb.Error.
    """
    try:
        # Without a change a checkpoint does nothing; and only after one of the catalogue it fails rather than keep what others read.
        connection.execute("comment on table file_setting is null")
        connection.execute("checkpoint")
    except duckdb.TransactionException as error:
        if "Cannot CHECKPOINT: there are other" not in str(error):
            raise
        return False
    return True


def _which(unit: Unit) -> tuple[str, dict[str, date | int]]:
    """The condition that a unit's rows meet, and its parameters."""
    conditions: list[str] = []
    parameters: dict[str, date | int] = {}
    if unit.first is not None and unit.last is not None:
        conditions.append("day between $first and $last")
        parameters |= {"first": unit.first, "last": unit.last}
    if unit.parts > 1:
        conditions.append(f"hash({_KEYS[unit.table]}) % $parts = $part")
        parameters |= {"parts": unit.parts, "part": unit.part}
    return f"where {' and '.join(conditions)}" if conditions else "", parameters


def _scattered(layout: Layout, before: date | None) -> set[date | None]:
    """Closed days that twice as many zone maps span as need be; with them the other days of those row groups, which are to be emptied.

    Row groups that reach into open days don't count: they come in order when those are closed.
    """
    spans = [(first, last) for first, last, _ in _closed(layout, before)]
    firsts, lasts = sorted(first for first, _ in spans), sorted(last for _, last in spans)
    scattered = [
        day
        for day, rows in layout.days
        if day is not None and bisect_right(firsts, day) - bisect_left(lasts, day) > 2 * (ceil(rows / ROW_GROUP) + 1)
    ]
    return _days_in(layout, ((first, last) for first, last in spans if bisect_right(scattered, last) > bisect_left(scattered, first)))


def _among_holes(connection: duckdb.DuckDBPyConnection, layout: Layout, before: date | None) -> set[date | None]:
    """Closed days in row groups with many holes, where the table has many; most are gone with the checkpoint that follows their making."""
    if layout.stored_rows - layout.rows <= _HOLES * layout.stored_rows:
        return set()
    counting = f"select count(*) from {layout.table} where rowid >= $start and rowid < $end"
    spans = []
    for first, last, group in _closed(layout, before):
        counted = connection.execute(counting, {"start": group.start, "end": group.start + group.stored_rows}).fetchone()
        assert counted is not None
        if group.stored_rows - counted[0] > _HOLES * group.stored_rows:
            spans.append((first, last))
    return _days_in(layout, spans)


def _at_the_end(found: Iterable[Layout], blocks: Blocks, unit_rows: int) -> dict[str, set[date | None]]:
    """The days of each table that stand where the file could end: behind as many blocks as are used, and room for what moves at once."""
    room = max(_moved_blocks(layout, unit_rows) for layout in found)
    end = blocks.used + room
    if blocks.total - end <= room / 2:
        return {layout.table: set() for layout in found}
    return {
        layout.table: _days_in(layout, ((group.first, group.last) for group in layout.groups if max(group.blocks, default=0) >= end))
        for layout in found
    }


def _moved_blocks(layout: Layout, unit_rows: int) -> int:
    """Blocks that the table's largest unit takes, or its largest day: the row groups of a divided day are emptied by its last part."""
    rows = max((rows for _, rows in layout.days), default=0)
    return ceil(len(layout.blocks) * min(1.0, max(rows, unit_rows) / max(layout.stored_rows, 1)))


def _closed(layout: Layout, before: date | None) -> list[tuple[date, date, RowGroup]]:
    """The row groups whose zone maps span only days before `before`: first and last of them."""
    return [
        (group.first, group.last, group)
        for group in layout.groups
        if before is not None and group.first is not None and group.last is not None and group.last < before
    ]


def _days_in(layout: Layout, spans: Iterable[tuple[date | None, date | None]]) -> set[date | None]:
    """The table's days from the first to the last of each span."""
    days = [day for day, _ in layout.days if day is not None]
    found: set[date | None] = set()
    for first, last in spans:
        found.update([None] if first is None or last is None else days[bisect_left(days, first) : bisect_right(days, last)])
    return found


def _units(layout: Layout, days: set[date | None], unit_rows: int, block_size: int) -> Iterator[Unit]:
    """These days in units: neighbours together, as many as one may hold; a day that is larger in parts."""
    packs: list[list[tuple[date | None, int]]] = []
    goes_on = False
    for day, rows in layout.days:
        if day in days:
            if not goes_on or sum(packed for _, packed in packs[-1]) + rows > unit_rows:
                packs.append([])
            packs[-1].append((day, rows))
        goes_on = day in days
    bytes_per_row = len(layout.blocks) * block_size / max(layout.stored_rows, 1)
    for pack in packs:
        rows = sum(packed for _, packed in pack)
        parts = ceil(rows / unit_rows) if layout.table in _KEYS else 1
        for part in range(parts):
            yield Unit(layout.table, pack[0][0], pack[-1][0], part, parts, rows // parts, round(rows / parts * bytes_per_row))
