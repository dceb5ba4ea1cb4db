"""The two demonstrations, from the first line on the screen to the last."""

import shutil
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
from rich.console import Console

from worker.demo import cdnow, report, shop
from worker.demo.broker import Messages
from worker.demo.job import Work, remove_old, work
from worker.errors import Differences
from worker.store.reader import open_reader
from worker.verify import verify


def run_shop(path: Path, seed: int, console: Console, visitors: int = shop.VISITORS) -> None:
    """A seeded shop's 60 days, into a new file at `path`.

    Raises Differences (verify found some), Stopped (by a signal), StoreError (the file at `path` is not a demo's), and as `tidemark run`.
    """
    console.print(
        f"[bold]Tidemark demo.[/] 60 days of a shop, some {visitors * 11.4:,.0f} messages with late, repeated and spoilt ones among them, go "
        f"through an embedded Kafka broker and a worker into {path}; then verify computes every table again. This takes about a minute."
    )
    remove_old(path)
    with console.status("making the shop"):
        made = shop.build(seed, visitors)
    happened = made.happened
    console.print(
        f"\nThe shop (seed {seed}): {happened['touchpoints']:,} touchpoints; {happened['bought']:,} orders, {happened['changed']:,} of them changed "
        f"later; {happened['customers']:,} messages of customers, {happened['products']:,} of products. {happened['late']:,} messages are late by up "
        f"to 20 days, {happened['twice']:,} are sent twice, {happened['spoilt']:,} are spoilt."
    )
    done = work(path, made.messages, 5_000, made.closing, console)
    _tell_speed(console, done)
    with closing(open_reader(path, done.settings.store)) as connection:
        report.show_days(console, connection)
        report.show_ledger(console, connection)
        report.show_rejected(console, connection)
        report.show_books(console, connection)
        _verify(console, connection, done)
    _tell_next(
        console,
        path,
        'query "from daily_channel where day = \'2026-04-05\' order by cost_cents desc"',
        'query "from daily_users_running order by day desc limit 7"',
        "status",
    )


def run_purchases(path: Path, console: Console) -> None:
    """The CDNOW sample, into a new file at `path`. Raises as `run_shop`, and Unavailable where the sample can't be had."""
    known = cdnow.PUBLISHED
    console.print(
        f"[bold]Tidemark demo, real purchases.[/] The CDNOW sample, {known.orders:,} orders from {known.first_day} to {known.last_day}, goes "
        f"through an embedded Kafka broker and a worker into {path}; then the daily tables are added up. This takes some seconds."
    )
    remove_old(path)
    messages = cdnow.messages(cdnow.purchases(cdnow.fetch(cdnow.CACHE)))
    now = datetime(known.last_day.year, known.last_day.month, known.last_day.day, tzinfo=UTC) + timedelta(days=1)
    done = work(path, messages, 500, now, console)
    _tell_speed(console, done)
    with closing(open_reader(path, done.settings.store)) as connection:
        report.show_books(console, connection)
        adds_up = report.show_purchases(console, connection)
        _verify(console, connection, done)
    if not adds_up:
        raise Differences("the daily tables do not add up to the sample", f"The file stays for a look: {path}")
    _tell_next(
        console,
        path,
        "query \"select date_trunc('month', day) as month, sum(orders), sum(net_cents) from daily_sales group by 1 order by 1\"",
        'query "from daily_users_running order by day desc limit 7"',
    )


def _tell_speed(console: Console, done: Work) -> None:
    console.print(
        f"\n[bold green]{done.messages:,} messages in {done.seconds:.1f} s: {done.messages / done.seconds:,.0f} messages a second[/], "
        f"in {done.commits} commits; {done.closed_days} days were closed, and closed days re-merged {done.remerges:,} times."
    )


def _verify(console: Console, connection: duckdb.DuckDBPyConnection, done: Work) -> None:
    began = time.monotonic()
    results = list(verify(connection, done.settings.tables_on))
    report.show_verdict(console, results, time.monotonic() - began)
    if differing := [result.table for result in results if not result.agrees]:
        raise Differences(f"{len(differing)} tables differ from a batch recomputation: {', '.join(differing)}", "This is a bug: please report it.")


def _tell_next(console: Console, path: Path, *commands: str) -> None:
    tidemark = "tidemark" if shutil.which("tidemark") else ".venv/bin/tidemark"
    console.print(f"\n[bold]What to try next[/]\n  export TIDEMARK_STORE__PATH={path}")
    for command in commands:
        console.print(f"  {tidemark} {command}", soft_wrap=True, markup=False, highlight=False)
