"""What the demo shows at its end: the last days, what late events changed, what was rejected, the books, verify's verdict.

Every figure is read from the file that stays behind. All of it fits 80 columns, and is plain text in a pipe.
"""

from collections.abc import Sequence
from dataclasses import astuple, fields
from datetime import date
from typing import Any

import duckdb
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from worker.demo.cdnow import PUBLISHED, Totals
from worker.store.sql import run
from worker.verify import TableResult

_CURRENCY = "USD"
_LAST_DAYS = 7
_REMERGED_DAYS = 8
_WIDE = 100  # columns of a screen with room to spare


def show_days(console: Console, connection: duckdb.DuckDBPyConnection) -> None:
    """The newest days, oldest first."""
    table = _table(
        console, left=("day", "state"), right=("revision", "orders", "net", "AOV", "customers", "new", "visits", "touch-\npoints")
    )
    rows = _rows(connection, "last_days", currency=_CURRENCY, limit=_LAST_DAYS)
    for day, is_open, revision, orders, net, average, active, new, visits, touchpoints in reversed(rows):
        money = _money(net), _money(average)
        table.add_row(
            str(day),
            "open" if is_open else "closed",
            str(revision or ""),
            _count(orders),
            *money,
            *map(_count, (active, new, visits, touchpoints)),
        )
    _show(console, f"The last days, with orders in {_CURRENCY}", table)


def show_ledger(console: Console, connection: duckdb.DuckDBPyConnection) -> None:
    """The closed days that late events changed, most often changed first, with the sum over all of them."""
    rows = _rows(connection, "remerged_days", currency=_CURRENCY)
    table = _table(
        console,
        left=("day",),
        right=("re-\nmerges", "late\nnew", "up-\ndates", "touch-\npoints", "orders", "net"),
        last="widest offset range",
    )
    for day, commits, new, updates, touchpoints, orders, net, offsets in rows[:_REMERGED_DAYS]:
        signed = _signed(touchpoints), _signed(orders), _signed_money(net)
        table.add_row(str(day), *map(_count, (commits, new, updates)), *signed, offsets or "(another day's events)")
    commits, new, updates, touchpoints, orders, net = (sum(row[column] for row in rows) for column in range(1, 7))
    signed = _signed(touchpoints), _signed(orders), _signed_money(net)
    table.add_row(f"all {len(rows)}", *map(_count, (commits, new, updates)), *signed, "", style="bold")
    _show(console, "The ledger: which closed days were re-merged, what changed, from which offsets", table)


def show_rejected(console: Console, connection: duckdb.DuckDBPyConnection) -> None:
    """Rejected messages by reason; their bytes are in the file."""
    table = _table(console, left=("reason",), right=("messages",), last="the first of them")
    for reason, messages, place, detail in _rows(connection, "rejected_reasons"):
        table.add_row(reason, _count(messages), escape(f"{place}: {' '.join(detail.split())}"))
    _show(console, "Rejected messages, kept with their bytes", table)


def show_books(console: Console, connection: duckdb.DuckDBPyConnection) -> None:
    """Every message read is in one of five columns."""
    table = _table(console, left=("stream",), right=("read", "accepted", "duplicate", "superseded", "rejected", "expired"))
    for stream, *counts in _rows(connection, "books"):
        table.add_row(stream or "all", *map(_count, counts), style="bold" if stream is None else "")
    _show(console, "The books: read = accepted + duplicate + superseded + rejected + expired", table)


def show_verdict(console: Console, results: Sequence[TableResult], seconds: float) -> None:
    """Whether one batch computation over the accepted rows gives the same tables."""
    rows, tables = sum(result.rows for result in results), sum(not result.is_audit for result in results)
    differing = [result for result in results if not result.agrees]
    console.print()
    if not differing:
        console.print(
            f"[bold green]verify: every table agrees, to the cent.[/] {tables} tables with {rows:,} rows were computed again "
            f"from the accepted rows in {seconds:.1f} s."
        )
    for result in differing:
        console.print(f"[bold red]verify: {result.table} differs in {result.differences:,} of {result.rows:,} rows[/]")
        for example in result.examples:
            console.print(escape(f"  {'in the table' if example.found else 'recomputed'}: {example.row}"))


def show_purchases(console: Console, connection: duckdb.DuckDBPyConnection) -> bool:
    """What the daily tables add up to, beside what is known of the sample. Returns whether all of it agrees."""
    found = Totals(*_rows(connection, "purchases", currency=_CURRENCY)[0])
    table = _table(console, left=("",), right=("known", "found"), last="")
    for field, known, have in zip(fields(Totals), astuple(PUBLISHED), astuple(found), strict=True):
        show = _money if field.name == "net_cents" else _value
        verdict = "[green]agrees[/]" if known == have else "[bold red]differs[/]"
        table.add_row(field.name.removesuffix("_cents").replace("_", " "), show(known), show(have), verdict)
    _show(console, "What the daily tables add up to", table)
    return found == PUBLISHED


def _rows(connection: duckdb.DuckDBPyConnection, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
    return run(connection, f"demo/{name}", parameters).fetchall()


def _table(console: Console, left: Sequence[str], right: Sequence[str], last: str | None = None) -> Table:
    """Columns without lines; the last one, if there is one, takes what is left of the width."""
    table = Table(
        box=None, padding=(0, 2 if console.width >= _WIDE else 1, 0, 0), pad_edge=False, expand=last is not None, header_style="dim"
    )
    for name in left:
        table.add_column(name, no_wrap=True, vertical="bottom")
    for name in right:
        table.add_column(name, justify="right", no_wrap=True)
    if last is not None:
        table.add_column(last, ratio=1, no_wrap=True, overflow="ellipsis")
    return table


def _show(console: Console, title: str, table: Table) -> None:
    console.print(f"\n[bold]{title}[/]")
    console.print(table)


def _value(value: int | date) -> str:
    return f"{value:,}" if isinstance(value, int) else str(value)


def _count(number: int | None) -> str:
    return f"{number or 0:,}"


def _signed(number: int) -> str:
    return f"{number:+,}"


def _money(cents: float | None) -> str:
    return "" if cents is None else f"{round(cents) / 100:,.2f}"


def _signed_money(cents: int) -> str:
    return f"{cents / 100:+,.2f}"
