"""What a mart sees: under the names of the file's tables, temporary views of a connection, narrowed to closed days and to what is dirty.

So one SELECT serves a full refresh and an incremental one. One more input is `counted_order`: orders that count, in the reporting currency.
A mart of customers that reads `touchpoint` sees the whole sessions that a dirty customer takes part in, in `session_day` too.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, TypeAlias

import duckdb

from worker.errors import ConfigError
from worker.marts.definition import Mart, Unit
from worker.marts.target import Columns, Tables
from worker.store.sql import run

_COUNTED = "select * from order_current where counted and currency = getvariable('reporting_currency')"
_ITEMS = """
    select day, order_id, line, item.product_id, item.category, item.subcategory, item.quantity, item.unit_price_cents, item.discount_cents,
           item.unit_cost_cents
    from (select day, order_id, generate_subscripts(items, 1) as line, unnest(items) as item from order_current)
"""
# Inputs that are made of another input: their SELECT over it.
MADE_OF = {"counted_order": ("order_current", _COUNTED), "order_item": ("order_current", _ITEMS)}
_DIRTY = {
    Unit.CUSTOMER: "customer_id in (select customer_id from dirty_customer)",
    Unit.SESSION: "(day, session_id) in (select day, session_id from changed_session) and day >= getvariable('first_changed_day')",
    Unit.DAY: "day in (select day from dirty_day)",
    Unit.MONTH: "month in (select month from dirty_month)",
}
# The statements of sql/refresh/ that find what is dirty.
_STEPS = {
    Unit.CUSTOMER: ("changed_session", "dirty_customer"),
    Unit.SESSION: ("changed_session",),
    Unit.DAY: ("dirty_day",),
    Unit.MONTH: ("dirty_day", "dirty_month"),
}
_THE_SAME_FOR_ALL = frozenset({"file_setting", "progress"})
_OF_SESSIONS = frozenset({"touchpoint", "session_day"})
_IN_DIRTY_SESSION = "semi join dirty_session using (day, session_id)"
_CLOSED = "day <= getvariable('as_of')"


@dataclass(frozen=True, slots=True)
class Since:
    """Where the last refresh left off: the day that it knew, the last commit and the last entry of mart_dirty that it saw."""

    as_of: date
    read_at: datetime
    dirty_id: int


@dataclass(frozen=True, slots=True)
class Share:
    """One of `count` parts of the customers, each of about as many."""

    number: int
    count: int


Part: TypeAlias = Since | Share | None  # what has become dirty since then, some customers, or all there is


def narrow(
    connection: duckdb.DuckDBPyConnection,
    mart: Mart,
    tables: Tables,
    marts: Mapping[str, Mart],
    variables: Mapping[str, Any],
    part: Part,
) -> None:
    """Make the mart's inputs of that part of the file's tables, as of `variables["as_of"]`.

    Raises ConfigError where it reads what is not there, or what can't be narrowed to its unit.
    """
    for name, value in variables.items():
        connection.execute(f"set variable {name} = $value", {"value": value})
    if isinstance(part, Since):
        _find_dirty(connection, mart, part, variables["as_of"])
    made: set[str] = set()
    for name in mart.reads:
        for table in (MADE_OF[name][0], name) if name in MADE_OF else (name,):
            if table not in made:
                body = MADE_OF[table][1] if table in MADE_OF else _body(mart, table, tables, marts, part)
                connection.execute(f'create or replace temp view "{mart.aliases.get(table, table)}" as {body}')
                made.add(table)


def dirty_rows(unit: Unit) -> str:
    """The condition on a mart's rows that an incremental refresh replaces."""
    return _DIRTY[unit]


def _sees_sessions(mart: Mart) -> bool:
    return mart.unit is Unit.CUSTOMER and "touchpoint" in mart.reads


def _find_dirty(connection: duckdb.DuckDBPyConnection, mart: Mart, since: Since, as_of: date) -> None:
    parameters = {"as_of": as_of, "last_as_of": since.as_of, "read_at": since.read_at, "dirty_id": since.dirty_id}
    steps = list(_STEPS[mart.unit])
    if mart.front.moved is not None and since.as_of < as_of:
        steps.append("moved_customer")
    if _sees_sessions(mart):
        steps.append("dirty_session")
    for step in steps:
        run(connection, f"refresh/{step}", parameters)
    if mart.unit is Unit.SESSION:  # DuckDB reads no row group before a day that it knows beforehand
        connection.execute("set variable first_changed_day = (select min(day) from changed_session)")


def _body(mart: Mart, table: str, tables: Tables, marts: Mapping[str, Mart], part: Part) -> str:
    """The SELECT of the view that stands for a table."""
    if table not in tables.columns:
        raise ConfigError(
            f"mart {mart.name} reads {table}, which is not there", "Is it the name of a table, or of a mart that comes first?"
        )
    columns, source = tables.columns[table], tables.place(table)
    limits = [_CLOSED] if "day" in columns and table not in marts else []
    match part:
        case Since() if _sees_sessions(mart) and table in _OF_SESSIONS:
            return f"select * from {source} {_IN_DIRTY_SESSION} where {_CLOSED}"
        case Since() if table not in _THE_SAME_FOR_ALL and not (table in marts and marts[table].unit is Unit.APPEND):
            limits.append(_dirty_of(mart, table, columns))
        case Share(number, count) if "customer_id" in columns:
            limits.append(f"hash(customer_id) % {count} = {number}")
    if table == "customer_first":
        source = _firsts(source)
    return f"select * from {source}" + (f" where {' and '.join(limits)}" if limits else "")


def _dirty_of(mart: Mart, table: str, columns: Columns) -> str:
    unit = Unit.DAY if mart.unit is Unit.MONTH and "month" not in columns else mart.unit
    if unit.key not in columns:
        raise ConfigError(f"mart {mart.name}, refreshed by {mart.unit}, reads {table}, which has no {unit.key}", "Make its unit whole.")
    return dirty_rows(unit)


def _firsts(source: str) -> str:
    """First days up to as_of; whoever came later is not there yet."""
    until = "case when {0} <= getvariable('as_of') then {0} end as {0}"
    columns = ", ".join(until.replace("{0}", column) for column in ("first_touch_day", "first_order_day"))
    return f"(select customer_id, first_active_day, {columns} from {source} where first_active_day <= getvariable('as_of'))"
