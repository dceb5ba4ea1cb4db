"""The table of a mart: made with its first refresh, and how rows get into it, within the caller's transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, TypeAlias

import duckdb

from worker.errors import ConfigError
from worker.marts.definition import Mart, OnSchemaChange, Tile

_DELETED = {"_is_deleted": "BOOLEAN", "_deleted_at": "TIMESTAMP"}  # what a merged mart has beside its own columns


@dataclass(frozen=True, slots=True)
class Source:
    """A SELECT of rows, with what it is bound to."""

    select: str
    parameters: Mapping[str, Any]


Columns: TypeAlias = Mapping[str, str]  # names with types


@dataclass(frozen=True, slots=True)
class Tables:
    """The tables and views of the file, with their columns, as a refresh found them. Asked for once: DuckDB takes 6 ms to answer."""

    catalog: str
    columns: Mapping[str, Columns]

    def place(self, table: str) -> str:
        """Its name with its catalog, for the refresh's connection has views of the same names."""
        return f'"{self.catalog}".main."{table}"'


def tables_of(connection: duckdb.DuckDBPyConnection) -> Tables:
    """Those there are now."""
    ((catalog,),) = connection.execute("select current_database()").fetchall()
    found: dict[str, dict[str, str]] = {}
    rows = connection.execute(
        "select table_name, column_name, data_type from duckdb_columns() "
        "where database_name = $catalog and schema_name = 'main' and not internal order by column_index",
        {"catalog": catalog},
    )
    for table, column, kind in rows.fetchall():
        found.setdefault(table, {})[column] = kind
    return Tables(catalog, found)


class Target:
    """The table or view of one mart, on one connection. `columns`: those that it had before the refresh; none where it was not there."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, mart: Mart, tables: Tables) -> None:
        self._connection = connection
        self._mart = mart
        self.name = tables.place(mart.name)
        self.columns = tables.columns.get(mart.name, {})

    def count(self) -> int:
        return int(self._connection.execute(f"select count(*) from {self.name}").fetchall()[0][0])

    def create_declared(self) -> None:
        """Make an empty table of the declared types."""
        columns = ", ".join(f'"{name}" {column.type}' for name, column in self._mart.front.columns.items())
        self._connection.execute(f"create table {self.name} ({columns})")

    def check(self, source: Source) -> None:
        """Raises ConfigError where the rows have other columns than were declared, or than the mart says that they may have."""
        found = {
            name: kind
            for name, kind, *_ in self._connection.execute(f"describe {source.select}", dict(source.parameters) or None).fetchall()
        }
        placed = self._mart.placed
        declared = [name for name in self._mart.columns if name not in placed]
        if list(found) != declared:
            raise ConfigError(
                f"mart {self._mart.name}: [columns] has {', '.join(declared)}; its rows have {', '.join(found)}",
                "Make them the same, in the same order. (Columns with tile or by_tiles are not of the SELECT.)",
            )
        stored = {name: kind for name, kind in self.columns.items() if name not in _DELETED and name not in placed}
        if self._mart.on_schema_change is OnSchemaChange.REPLACE or not stored:
            return
        others = {name for name in stored.keys() & found.keys() if stored[name] != found[name]}
        if self._mart.on_schema_change is OnSchemaChange.FAIL:
            others |= stored.keys() ^ found.keys()
        if others:
            raise ConfigError(
                f"mart {self._mart.name}: its table has other columns: {', '.join(sorted(others))}",
                'Drop the table, or let columns come and go with on_schema_change = "append". A column\'s type stays what it is.',
            )

    def make_way(self, *, is_view: bool) -> None:
        """A mart may have been a view, and be a table now, or the other way round."""
        other = "table" if is_view else "view"
        ((is_other,),) = self._connection.execute(
            f"select count(*) > 0 from duckdb_{other}s() where database_name = current_database() and schema_name = 'main' "
            f"and {other}_name = $name",
            {"name": self._mart.name},
        ).fetchall()
        if is_other:
            self._connection.execute(f"drop {other} {self.name}")
            self.columns = {}

    def define_view(self, select: str) -> None:
        self._connection.execute(f"create or replace view {self.name} as {select}")

    def replace(self, source: Source) -> int:
        """The rows take the place of all that are there. Returns how many they are."""
        mart = self._mart
        gone = {} if mart.on_schema_change is not OnSchemaChange.APPEND else self.columns
        nulls = mart.placed | {name: kind for name, kind in gone.items() if name not in mart.columns}
        columns = ", ".join(
            f'cast(null as {nulls[name]}) as "{name}"' if name in nulls else f'"{name}"' for name in dict.fromkeys([*mart.columns, *nulls])
        )
        return self._run(f"create or replace table {self.name} as select {columns} from ({source.select})", source.parameters)

    def remove(self, limits: Sequence[str], parameters: Mapping[str, Any]) -> int:
        """Remove the rows within all limits. Returns how many they were."""
        return self._run(f"delete from {self.name}{_where(limits)}", parameters)

    def add(self, source: Source, limits: Sequence[str] = (), parameters: Mapping[str, Any] = MappingProxyType({})) -> int:
        """Add those of the rows that are within all limits. Returns how many they are."""
        insert = f"insert into {self.name} by name select * from ({source.select}){_where(limits)}"
        return self._run(insert, {**source.parameters, **parameters})

    def change(self, expressions: Mapping[str, str], parameters: Mapping[str, Any]) -> None:
        """Give columns, in all rows, what their expressions say, where that is something else."""
        set_to = ", ".join(f'"{name}" = {expression}' for name, expression in expressions.items())
        changed = " or ".join(f'"{name}" is distinct from ({expression})' for name, expression in expressions.items())
        self._run(f"update {self.name} set {set_to} where {changed}", parameters)

    def place(self) -> None:
        """Say of each row where it stands among all, once all are there, and what follows from that."""
        tiles = dict[str, str]()
        for number, (name, tile) in enumerate(self._mart.tiles.items()):
            self._find_limits(tile, f"tile_{number}")
            tiles[name] = _part(tile, f"tile_{number}")
        if tiles:
            self.change(tiles, {})
        if self._mart.by_tiles:
            self.change(self._mart.by_tiles, {})

    def _find_limits(self, tile: Tile, variable: str) -> None:
        """Set a variable to the list of values beyond which its second part begins, its third and so on; null where there are no values."""
        ((n,),) = self._connection.execute(f"select count({tile.of}) from {self.name}").fetchall()
        # The k-th lowest of n values is their discrete quantile of anything in ((k - 1) / n, k / n]: the middle is safe from rounding.
        shares = [(-(-n * part // tile.parts) - 0.5) / n for part in range(1, tile.parts)] if n else []
        limits = f"(select quantile_disc({tile.of}, {shares}) from {self.name})" if n else "null"
        self._connection.execute(f"set variable {variable} = {limits}")

    def follow(self, other: str, columns: Sequence[str]) -> None:
        """Give columns what the row of the same key has in another table, where that is something else.

        In the order of the rows, for DuckDB takes a hundred times as long in any other.
        """
        names = [f'"{name}"' for name in columns]
        changed = " or ".join(f"t.{name} is distinct from o.{name}" for name in names)
        rows = (
            f"select t.rowid as _row, {', '.join(f'o.{name}' for name in names)} from {self.name} as t "
            f"join {other} as o using ({', '.join(self._mart.key)}) where {changed} order by _row"
        )
        set_to = ", ".join(f"{name} = n.{name}" for name in names)
        self._run(f"update {self.name} as t set {set_to} from ({rows}) as n where n._row = t.rowid", {})

    def merge(self, source: Source, now: datetime, *, is_full: bool) -> tuple[int, int]:
        """Of two rows of one key that of the newer version stands; `is_full`: what is not among the rows is marked as deleted.

        Returns how many were marked, and written. Raises ConfigError where a key comes twice, or is null.
        """
        self._connection.execute(f"create or replace temp table merge_row as {source.select}", dict(source.parameters) or None)
        self._check_keys()
        self._widen()
        keys = " and ".join(f't."{column}" = r."{column}"' for column in self._mart.key)
        newer = f'r."{self._mart.front.version}" > t."{self._mart.front.version}"'
        set_to = ", ".join(f'"{column}" = r."{column}"' for column in self._mart.columns)
        written = self._run(
            f"merge into {self.name} as t using (select *, false as _is_deleted from merge_row) as r on {keys} "
            f"when matched and (t._is_deleted or {newer}) then update set {set_to}, _is_deleted = false, _deleted_at = null "
            "when not matched then insert by name",
            {},
        )
        if not is_full:
            return 0, written
        marked = self._run(
            f"update {self.name} as t set _is_deleted = true, _deleted_at = $now "
            f"where not t._is_deleted and not exists (select 1 from merge_row as r where {keys})",
            {"now": now},
        )
        return marked, written

    def _check_keys(self) -> None:
        columns = ", ".join(f'"{column}"' for column in self._mart.key)
        is_null = " or ".join(f'"{column}" is null' for column in self._mart.key)
        ((twice,),) = self._connection.execute(f"select count(*) - count(distinct ({columns})) from merge_row").fetchall()
        ((null,),) = self._connection.execute(f"select count(*) from merge_row where {is_null}").fetchall()
        if twice or null:
            raise ConfigError(
                f"mart {self._mart.name}: of its rows {twice} repeat the key ({columns}) of another, and {null} have a null in it",
                "Rows are merged by their key: its grain must name columns that tell them apart.",
            )

    def _widen(self) -> None:
        """Make the table, or the columns that have come."""
        if not self.columns:
            extra = ", ".join(f"cast(null as {kind}) as {name}" for name, kind in _DELETED.items())
            self._connection.execute(f"create table {self.name} as select *, {extra} from merge_row limit 0")
            return
        for name, kind, *_ in self._connection.execute("describe merge_row").fetchall():
            if name not in self.columns:
                self._connection.execute(f'alter table {self.name} add column "{name}" {kind}')

    def _run(self, sql: str, parameters: Mapping[str, Any]) -> int:
        """Returns how many rows were written or removed."""
        return int(self._connection.execute(sql, dict(parameters) or None).fetchall()[0][0])


def _part(tile: Tile, limits: str) -> str:
    """The part of a row's value; `limits`: the variable with the values beyond which the second part begins and so on."""
    first, *rest = ["'" + label.replace("'", "''") + "'" for label in tile.labels] or [str(part) for part in range(1, tile.parts + 1)]
    beyond = [f"when ({tile.of}) > getvariable('{limits}')[{number}] then {part}" for number, part in enumerate(rest, 1)]
    return f"cast(case {' '.join(reversed(beyond))} when ({tile.of}) is not null then {first} end as {tile.type})"


def _where(limits: Sequence[str]) -> str:
    return f" where {' and '.join(limits)}" if limits else ""
