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
from rich.text import Text

from worker.demo.cdnow import PUBLISHED, Totals
from worker.store.sql import run
from worker.verify import TableResult

_CURRENCY = "USD"
_LAST_DAYS = 7
_REMERGED_DAYS = 8


def show_days(console: Console, connection: duckdb.DuckDBPyConnection) -> None:
    """The newest days, oldest first."""
    table = _table(f"The last days, orders in {_CURRENCY}")
    for name in ("day", "", "orders", "net", "AOV", "customers", "new", "visits", "touchpoints"):
        table.add_column(name, justify="left" if name in ("day", "") else "right")
    for day, is_open, revision, orders, net, average, active, new, visits, touchpoints in reversed(
        _rows(connection, "last_days", currency=_CURRENCY, limit=_LAST_DAYS)
    ):
        state = "open" if is_open else f"closed, rev {revision}"
        table.add_row(str(day), state, _count(orders), _money(net), _money(average), *map(_count, (active, new, visits, touchpoints)))
    console.print(table)


def show_ledger(console: Console, connection: duckdb.DuckDBPyConnection) -> None:
    """The closed days that late events changed, most often changed first, with the sum over all of them."""
    rows = _rows(connection, "remerged_days", currency=_CURRENCY)
    table = _table("The ledger: closed days that changed, and how", show_footer=True)
    total = [sum(row[column] for row in rows) for column in range(2, 8)]
    heads = ("re-merges", "new", "updates", "touchpoints", "orders", "net")
    table.add_column("day", footer=f"all {len(rows)}")
    for head, footer in zip(heads, [*map(_signed, total[:-1]), _signed_money(total[-1])], strict=True):
        table.add_column(head, footer=footer.lstrip("+") if head in heads[:3] else footer, justify="right")
    table.add_column("from offsets", overflow="ellipsis", no_wrap=True)
    for day, _revision, commits, new, updates, touchpoints, orders, net, offsets, partitions in rows[:_REMERGED_DAYS]:
        origin = f"{offsets} +{partitions - 1}" if partitions and partitions > 1 else offsets or "another day's"
        counts = map(_count, (commits, new, updates))
        table.add_row(str(day), *counts, _signed(touchpoints), _signed(orders), _signed_money(net), origin)
    console.print(table)


def show_rejected(console: Console, connection: duckdb.DuckDBPyConnection) -> None:
    """Rejected messages by reason; their bytes are in the file."""
    table = _table("Rejected messages, kept with their bytes")
    table.add_column("stage")
    table.add_column("reason")
    table.add_column("messages", justify="right")
    table.add_column("the first of them", overflow="ellipsis", no_wrap=True)
    for stage, reason, messages, place, detail in _rows(connection, "rejected_reasons"):
        table.add_row(stage, reason, _count(messages), escape(f"{place}: {' '.join(detail.split())}"))
    console.print(table)


def show_books(console: Console, connection: duckdb.DuckDBPyConnection) -> None:
    """Every message read is in one of five columns."""
    table = _table("The books: read = accepted + duplicate + superseded + rejected + expired")
    table.add_column("stream")
    for name in ("read", "accepted", "duplicate", "superseded", "rejected", "expired"):
        table.add_column(name, justify="right")
    for stream, *counts in _rows(connection, "books"):
        table.add_row(stream or "all", *map(_count, counts), style="bold" if stream is None else "")
    console.print(table)


def show_verdict(console: Console, results: Sequence[TableResult], seconds: float) -> None:
    """Whether one batch computation over the accepted rows gives the same tables."""
    rows = sum(result.rows for result in results)
    differing = [result for result in results if not result.agrees]
    console.print()
    if not differing:
        console.print(
            f"[bold green]verify: every table agrees, to the cent.[/] {len(results)} tables with {rows:,} rows were computed again from the "
            f"accepted rows in {seconds:.1f} s."
        )
    for result in differing:
        console.print(f"[bold red]verify: {result.table} differs in {result.differences:,} of {result.rows:,} rows[/]")
        for example in result.examples:
            console.print(escape(f"  {'in the table' if example.found else 'recomputed'}: {example.row}"))


def show_purchases(console: Console, connection: duckdb.DuckDBPyConnection) -> bool:
    """What the daily tables add up to, beside what is known of the sample. Returns whether all of it agrees."""
    found = Totals(*_rows(connection, "purchases", currency=_CURRENCY)[0])
    table = _table("What the daily tables add up to")
    for name in ("", "known", "found", ""):
        table.add_column(name, justify="left" if name == "" else "right")
    for field, known, have in zip(fields(Totals), astuple(PUBLISHED), astuple(found), strict=True):
        verdict = Text("agrees", "green") if known == have else Text("differs", "bold red")
        texts = (_money(value) if field.name == "net_cents" else _value(value) for value in (known, have))
        table.add_row(field.name.removesuffix("_cents").replace("_", " "), *texts, verdict)
    console.print(table)
    return found == PUBLISHED


def _rows(connection: duckdb.DuckDBPyConnection, name: str, **parameters: Any) -> list[tuple[Any, ...]]:
    return run(connection, f"demo/{name}", parameters).fetchall()


def _table(title: str, *, show_footer: bool = False) -> Table:
    return Table(
        title=f"\n{title}",
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 2, 0, 0),
        show_footer=show_footer,
        pad_edge=False,
    )


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
