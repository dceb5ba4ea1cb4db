"""The two demonstrations, from the first line on the screen to the last."""

import shlex
import shutil
import time
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path

import duckdb
from rich.console import Console
from rich.markup import escape

from worker.config import Value
from worker.demo import cdnow, report, shop
from worker.demo.job import Work, refresh, remove_old, work
from worker.errors import Differences
from worker.store.reader import open_reader
from worker.verify import verify

_HOLDOUT_DAYS = 14  # of the shop's sixty


def run_shop(path: Path, seed: int, console: Console, visitors: int = shop.VISITORS, batch_messages: int = 5_000) -> None:
    """A seeded shop's 60 days, into a new file at `path`.

    Raises Differences (verify found some), Stopped (by a signal), StoreError (the file at `path` is not a demo's), and as `tidemark run`.
    """
    console.print(
        f"[bold]Tidemark demo.[/] 60 days of a shop, some {visitors * 11.4:,.0f} messages with late, repeated and spoilt ones among "
        f"them, go through an embedded Kafka broker and a worker into {escape(str(path))}; then verify computes every table again, and the "
        "marts are refreshed. This takes about a minute."
    )
    remove_old(path)
    with console.status("making the shop"):
        made = shop.build(seed, visitors)
    _tell_shop(console, made, seed)
    done = work(path, made.messages, batch_messages, made.closing, console, Value(holdout_days=_HOLDOUT_DAYS))
    _tell_speed(console, done)
    with closing(open_reader(path, done.settings.store)) as connection:
        report.show_days(console, connection)
        report.show_ledger(console, connection)
        report.show_rejected(console, connection)
        report.show_books(console, connection)
        _verify(console, connection, done)
    _refresh(console, done, made.closing)
    with closing(open_reader(path, done.settings.store)) as connection:
        report.show_cohorts(console, connection, "week")
        report.show_attribution(console, connection)
        report.show_values(console, connection)
        report.show_segments(console, connection)
    _tell_next(
        console,
        path,
        made.closing,
        "query \"from daily_channel where day = '2026-04-05' order by cost_cents desc\"",
        'query "from daily_users_running order by day desc limit 7"',
        "query \"from ledger_offset where day = '2026-04-05' order by all\"",
        "marts describe customer_value",
        "audit",
        "status",
    )


def run_purchases(path: Path, console: Console) -> None:
    """The CDNOW sample, into a new file at `path`. Raises as `run_shop`, and Unavailable where the sample can't be had."""
    known = cdnow.PUBLISHED
    console.print(
        f"[bold]Tidemark demo, real purchases.[/] The CDNOW sample, {known.orders:,} orders from {known.first_day} to {known.last_day}, "
        f"goes through an embedded Kafka broker and a worker into {escape(str(path))}; then the daily tables are added up, and the marts "
        "are compared with what the papers on customer value have published. "
        "This takes some seconds."
    )
    remove_old(path)
    messages = cdnow.messages(cdnow.purchases(cdnow.fetch(cdnow.CACHE)))
    end = datetime.combine(known.last_day, datetime.max.time(), UTC)
    done = work(path, messages, 500, end, console, Value(holdout_days=cdnow.HOLDOUT_DAYS))
    _tell_speed(console, done)
    with closing(open_reader(path, done.settings.store)) as connection:
        report.show_books(console, connection)
        adds_up = report.show_purchases(console, connection)
        _verify(console, connection, done)
    refresh(done.settings, end, "value_model_fit", as_of=cdnow.CALIBRATED)
    _refresh(console, done, end, known.last_day)
    with closing(open_reader(path, done.settings.store)) as connection:
        report.show_cohorts(console, connection, "month")
        report.show_values(console, connection)
        report.show_segments(console, connection)
        agrees = report.show_purchase_model(console, connection)
    if not (adds_up and agrees):
        raise Differences("what the tables say of the sample is not what is known of it", f"The file stays for a look: {path}")
    _tell_next(
        console,
        path,
        end,
        "query \"select date_trunc('month', day) as month, sum(orders), sum(net_cents) from daily_sales group by 1 order by 1\"",
        'query "select customer_id, p_alive, model_value from customer_value order by model_value desc limit 10"',
        "marts describe customer_value",
        "audit",
        "status",
    )


def _tell_shop(console: Console, made: shop.Shop, seed: int) -> None:
    count = {name: f"{number:,}" for name, number in made.happened.items()}
    console.print(
        f"\nThe shop of seed {seed}: {count['touchpoints']} touchpoints; {count['bought']} orders, {count['changed']} changed later; "
        f"{count['customers']} messages of customers, {count['products']} of products. Of all messages {count['late']} are late "
        f"by up to 20 days, {count['twice']} are sent twice, {count['spoilt']} are spoilt."
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
        raise Differences(
            f"{len(differing)} tables differ from a batch recomputation: {', '.join(differing)}", "This is a bug: please report it."
        )


def _refresh(console: Console, done: Work, now: datetime, as_of: date | None = None) -> None:
    began = time.monotonic()
    with console.status("refreshing the marts"):
        runs = refresh(done.settings, now, as_of=as_of)
    report.show_refreshed(console, runs, time.monotonic() - began)


def _tell_next(console: Console, path: Path, clock: datetime, *commands: str) -> None:
    tidemark = "tidemark" if shutil.which("tidemark") else ".venv/bin/tidemark"
    console.print(f"\n[bold]What to try next[/] (the demo's clock stands at {clock:%Y-%m-%d}: ages count from there)")
    for line in (f"export TIDEMARK_STORE__PATH={shlex.quote(str(path))}", *(f"{tidemark} {command}" for command in commands)):
        console.print(f"  {line}", soft_wrap=True, markup=False)
