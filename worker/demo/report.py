"""What the demo shows at its end: the last days, what late events changed, what was rejected, the books, verify's verdict, the marts.

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

from worker.demo.cdnow import CALIBRATED, PUBLISHED, PUBLISHED_MODEL, Model, Totals
from worker.marts.refresh import MartRun
from worker.store.sql import run
from worker.verify import TableResult

_CURRENCY = "USD"
_LAST_DAYS = 7
_REMERGED_DAYS = 8
_PERIODS = {"week": 8, "month": 8}  # how many of a cohort fit a line
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


def show_purchase_model(console: Console, connection: duckdb.DuckDBPyConnection) -> bool:
    """What the models make of the sample, beside what is published. Returns whether they agree in all digits that are."""
    found = Model(*_rows(connection, "purchase_model", calibrated=CALIBRATED)[0])
    table = _table(console, left=("",), right=("published", "found"), last="")
    agree = True
    for field, known, exact in zip(fields(Model), astuple(PUBLISHED_MODEL), astuple(found), strict=True):
        have = _as_published(exact, known)
        agree &= known == have
        verdict = "[green]agrees[/]" if known == have else "[bold red]differs[/]"
        table.add_row(field.name.replace("_", " "), f"{known:,}", f"{have:,}", verdict)
    _show(console, f"Customer value: fitted on the 39 weeks to {CALIBRATED}, tried on the next 39", table)
    return agree


def _as_published(found: float, known: float) -> float:
    """In as many digits as are published."""
    return round(found, len(str(known).partition(".")[2])) if isinstance(known, float) else round(found)


def show_refreshed(console: Console, runs: Sequence[MartRun], seconds: float) -> None:
    """That the marts are up to date, and what their audits found."""
    doubts = "; ".join(f'{run.mart}, "{audit}"' for run in runs for audit in run.failed_audits)
    verdict = f"[yellow]An audit has doubts: {escape(doubts)}.[/]" if doubts else "Their audits found nothing."
    console.print(f"\n[bold green]{len(runs)} marts were refreshed as of {runs[-1].as_of} in {seconds:.1f} s.[/] {verdict}")


def show_cohorts(console: Console, connection: duckdb.DuckDBPyConnection, period_kind: str) -> None:
    """The triangle of first_order cohorts: who bought again."""
    rows = _rows(connection, "cohorts", period_kind=period_kind, periods=_PERIODS[period_kind])
    periods = max((len(retention or ()) for _, _, retention in rows), default=0)
    table = _table(console, left=("first bought in",), right=("customers", *(str(number + 1) for number in range(periods))))
    for start, size, retention in rows:
        table.add_row(_period(start, period_kind), _count(size), *(f"{share:.1%}" for share in retention or ()))
    _show(console, f"Cohorts: who bought again so many {period_kind}s later (cohort_retention)", table)


def show_attribution(console: Console, connection: duckdb.DuckDBPyConnection) -> None:
    """One month by five models, each of which gives away the same revenue."""
    models = ("first touch", "last touch", "time decay", "Shapley", "Markov")
    table = _table(console, left=("channel",), right=("cost", *models))
    rows = _rows(connection, "attribution")
    for _, channel, *cents in rows:
        table.add_row(channel or "all", *map(_money, cents), style="" if channel else "bold")
    month = f"{rows[0][0]:%B %Y}" if rows else "no month has ended"
    _show(console, f"Attribution: {_CURRENCY} of {month} by channel and model (attribution_channel)", table)


def show_values(console: Console, connection: duckdb.DuckDBPyConnection) -> None:
    """What customers are worth, by the model and by the usual heuristic, and how well the model foretold the last days."""
    right = ("customers", "alive", "orders expected", "value by model", "by heuristic")
    table = _table(console, left=("orders so far",), right=right)
    for orders, customers, alive, expected, value, heuristic in _rows(connection, "values"):
        style = "" if orders else "bold"
        table.add_row(orders or "all", _count(customers), _share(alive), _count(expected), _money(value), _money(heuristic), style=style)
    _show(console, f"Customer value in the next 12 months, in {_CURRENCY} (customer_value)", table)
    ((as_of, customers, repeaters, status, value_status, days, expected, actual),) = _rows(connection, "last_fit")
    console.print(
        f"BG/NBD {status}, Gamma-Gamma {value_status}: {_count(customers)} customers, {_count(repeaters)} of them came back. To this "
        f"model, who bought once is alive, but may seldom buy. Fitted {days} days before {as_of}, it foretold {_count(expected)} "
        f"purchases; {_count(actual)} were made.",
        style="dim",
    )


def show_segments(console: Console, connection: duckdb.DuckDBPyConnection) -> None:
    """Customers by recency, frequency and money."""
    right = ("customers", "days since\nlast order", "orders\neach", "spend\neach", "share\nof spend")
    table = _table(console, left=("segment",), right=right)
    for segment, customers, recency, orders, spend, share in _rows(connection, "segments"):
        table.add_row(segment, _count(customers), f"{recency:.0f}", f"{orders:.1f}", _money(spend), _share(share))
    _show(console, "Segments by recency, frequency and money (customer_overview)", table)


def _period(start: date, kind: str) -> str:
    return f"{start:%b %Y}" if kind == "month" else f"week of {start:%d %b}"


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


def _count(number: float | None) -> str:
    return f"{number or 0:,.0f}"


def _share(share: float | None) -> str:
    return "" if share is None else f"{share:.0%}"


def _signed(number: int) -> str:
    return f"{number:+,}"


def _money(cents: float | None) -> str:
    return "" if cents is None else f"{round(cents) / 100:,.2f}"


def _signed_money(cents: int) -> str:
    return f"{cents / 100:+,.2f}"
