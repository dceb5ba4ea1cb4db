"""What history does to the rate: live messages into a file that `tidemark backfill` filled from an archive, and into an empty one."""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.bench import archive, record, report
from tests.bench.data import Shape, Shop
from tests.bench.figures import Expected
from tests.bench.process import Ended, tidemark
from tests.bench.workbench import Case, Tables, Workbench
from worker.events import Stream

LIVE_MESSAGES = 300_000

_PART = 1_000  # of the first of history's shapes: nothing that is live has a number as high


@dataclass(frozen=True, slots=True)
class History:
    """A file without a live position, and what it holds. `backfill`: how it was made; None where it was kept from an earlier time."""

    file: Path
    expected: Expected
    rows: int
    backfill: Ended | None


def history(bench: Workbench, rows: int, days: int, kept: Path | None) -> None:
    """The scenario. `days`: that the history spans, up to the first live day."""
    shape = bench.shape(LIVE_MESSAGES)
    names, expected = bench.loaded(shape)
    runs, results = [], {}
    for tables in bench.tables(Tables.ALL):
        past = made(bench, before(bench.options.shape, rows, days), tables, kept)
        cases = [
            Case("empty file", tables, names, expected, shape.messages),
            Case(f"{rows:,} rows", tables, names, past.expected + expected, shape.messages, past.file),
        ]
        some = bench.in_turn(cases)
        results[tables.value] = {
            "ratios": report.compare(bench.console, f"history of {days} days", some),
            "backfill": past.backfill and past.backfill.figures(),
        }
        runs += some
    record.write(bench, "history", runs, results)


def before(shape: Shape, rows: int, days: int) -> Sequence[Shape]:
    """Shapes of the days before the shape's first."""
    return replace(shape, messages=rows, days=days, start=shape.start - days, part=_PART).parts()


def made(bench: Workbench, shapes: Sequence[Shape], tables: Tables, kept: Path | None = None) -> History:
    """A file by backfill. With `kept`, a directory, it is taken from there if it was made before, else left there."""
    name = hashlib.sha256(repr(shapes).encode()).hexdigest()[:12]
    directory, rows = kept or bench.directory, sum(shape.messages for shape in shapes)
    file = directory / f"history-{name}-{tables}.duckdb"
    if file.exists():
        return History(file, sum((Shop(shape).expected() for shape in shapes), Expected()), rows, None)
    directory.mkdir(parents=True, exist_ok=True)
    with _archived(bench, shapes) as (files, expected):
        ended = filled(bench, file, files, tables)
    bench.console.print(f"backfill of {rows:,} rows: {rows / ended.wall:,.0f} rows/s, {ended.cpu / rows * 1e6:.1f} µs of CPU a row")
    return History(file, expected, rows, ended)


def filled(bench: Workbench, file: Path, files: Path, tables: Tables) -> Ended:
    """Make the file of an archive, by backfill. What is not whole has another name."""
    part = file.with_suffix(".part")
    for leftover in part.parent.glob(f"{part.name}*"):
        leftover.unlink()
    topics = {stream: stream.value for stream in (Stream.ORDERS, Stream.TOUCHPOINTS)}
    ended = tidemark(bench.settings(part, topics, tables), "backfill", "--from-archive", str(files), "--advance-watermark")
    part.rename(file)
    return ended


@contextmanager
def _archived(bench: Workbench, shapes: Sequence[Shape]) -> Iterator[tuple[Path, Expected]]:
    """Parquet files of these shapes."""
    directory, expected = bench.directory / "archive", Expected()
    directory.mkdir()
    try:
        for shop in map(Shop, shapes):
            archive.write(directory, shop)
            expected += shop.expected()
        yield directory, expected
    finally:
        shutil.rmtree(directory)
