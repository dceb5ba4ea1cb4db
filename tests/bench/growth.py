"""What a message costs when something grows: late events, updates, the size of commits, one customer's share. Cases side by side."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from tests.bench import archive, record, report, topics
from tests.bench.data import Shape, Shop
from tests.bench.history import filled
from tests.bench.workbench import Case, Tables, Workbench
from worker.events import Stream

MESSAGES = 300_000
LONG = 10_000_000


def late(bench: Workbench, share: float) -> None:
    """A share of events late by up to 20 days, beside the same events in order."""
    shape = replace(bench.shape(MESSAGES), late_share=share)
    _compare(bench, "late", {"in order": replace(shape, in_order=True), f"{share:.0%} late": shape})


def skew(bench: Workbench, share: float) -> None:
    """A share of all events of one customer."""
    shape = bench.shape(MESSAGES)
    _compare(bench, "skew", {"many customers": shape, f"{share:.0%} one's": replace(shape, top_share=share)})


def batches(bench: Workbench, sizes: Sequence[int]) -> None:
    """Commits of at most so many messages."""
    shape = bench.shape(MESSAGES)
    names, expected = bench.loaded(shape)
    settings = {size: {"batch": {"max_messages": size}} for size in sizes}
    _report(
        bench,
        "batches",
        {
            tables: [Case(f"{size:,}", tables, names, expected, shape.messages, settings=settings[size]) for size in sizes]
            for tables in bench.tables(Tables.ALL)
        },
    )


def updates(bench: Workbench) -> None:
    """Updates of known orders beside as many new ones, both into a file that knows the former's orders."""
    orders = bench.shape(MESSAGES).messages
    shape = replace(bench.options.shape, touchpoint_share=0.0, duplicate_share=0.0, late_share=0.0)
    known = Shop(replace(shape, messages=2 * orders, update_share=1.0))
    new = Shop(replace(shape, messages=orders, update_share=0.0, part=1))
    of_new, of_updates = topics.empty(bench.broker.bootstrap), topics.empty(bench.broker.bootstrap)
    topics.send(bench.broker.bootstrap, of_new[Stream.ORDERS], new.orders.messages())
    topics.send(bench.broker.bootstrap, of_updates[Stream.ORDERS], known.orders.messages(known.orders.updates))
    files = bench.directory / "archive"
    files.mkdir()
    archive.write(files, known, with_updates=False)
    cases = {}
    for tables in bench.tables(Tables.ALL):
        file = bench.directory / f"known-{tables}.duckdb"
        filled(bench, file, files, tables)
        before = known.expected(with_updates=False)
        cases[tables] = [
            Case("new orders", tables, of_new, before + new.expected(), orders, file),
            Case("updates", tables, of_updates, known.expected(), orders, file),
        ]
    _report(bench, "updates", cases)


def memory(bench: Workbench, after: int) -> None:
    """The slope of RSS once so many messages are in."""
    shape = bench.shape(LONG)
    shape = replace(shape, days=max(shape.days, shape.messages // 200_000))
    names, expected = bench.loaded(shape)
    cases = [Case(tables, tables, names, expected, shape.messages) for tables in bench.tables(Tables.ALL)]
    runs, slopes = bench.in_turn(cases), []
    for run in runs:
        report.show(bench.console, [run])
        slopes.append(slope(run.measured.batches, after))
        bench.console.print(f"{run.case}: RSS grows by {slopes[-1]:.1f} MiB per million messages after the first {after:,}")
    record.write(bench, "memory", runs, {"after": after, "mib_per_million": slopes})


def slope(commits: Sequence[tuple[int, float, int]], after: int) -> float:
    """MiB of RSS per million messages: the line through what each commit (messages, seconds, bytes of RSS) left, by least squares.

    Exits where fewer than two commits came after the first `after` messages.
    """
    messages = np.cumsum([commit[0] for commit in commits])
    rss = np.array([commit[2] for commit in commits])[messages > after]
    if len(rss) < 2:
        raise SystemExit(f"{len(rss)} commits after the first {after:,} messages tell no slope: more --messages, or a smaller --after")
    return float(np.polyfit(messages[messages > after] / 1e6, rss / report.MIB, 1)[0])


def _compare(bench: Workbench, scenario: str, shapes: dict[str, Shape]) -> None:
    loaded = {name: bench.loaded(shape) for name, shape in shapes.items()}
    _report(
        bench,
        scenario,
        {
            tables: [Case(name, tables, *loaded[name], shape.messages) for name, shape in shapes.items()]
            for tables in bench.tables(Tables.ALL)
        },
    )


def _report(bench: Workbench, scenario: str, cases: dict[Tables, list[Case]]) -> None:
    runs, ratios = [], {}
    for tables, some in cases.items():
        done = bench.in_turn(some)
        ratios[tables.value] = report.compare(bench.console, scenario, done)
        runs += done
    record.write(bench, scenario, runs, {"ratios": ratios})
