"""`make bench-marts`: what refreshing all marts of a seeded shop costs: in full, after 1 % of the customers changed, and a day later."""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from tests.bench import archive
from tests.bench.data import Shape, Shop
from tests.bench.mart_pass import Refreshed, refreshed
from tests.bench.process import tidemark
from tests.bench.record import machine, versions
from tests.bench.report import MIB
from tests.bench.workbench import WORK

app = typer.Typer(add_completion=False)
console = Console(width=140)

_UPDATE_SHARE = 0.2  # of orders
_CHANGED_PART = 1_000  # of the shape of what changes: its events are others than the shop's
_CHANGED_DAYS = 20  # the last ones before the end; all that changes is in them
_KEY = 12  # digits of a kept file's name


@app.command()
def main(
    customers: Annotated[int, typer.Option(help="how many may come; the goals are for 1000000")] = 100_000,
    touchpoints: Annotated[int, typer.Option(help="10000000")] = 1_000_000,
    orders: Annotated[int, typer.Option(help="2000000")] = 200_000,
    days: Annotated[int, typer.Option(help="that they span")] = 365,
    changed: Annotated[float, typer.Option(help="share of the customers of whom something comes between the refreshes")] = 0.01,
    memory_limit: Annotated[str | None, typer.Option(help="store.memory_limit")] = None,
    threads: Annotated[int | None, typer.Option(help="store.threads")] = None,
    skew: Annotated[
        float, typer.Option(help="of customers: 0.5 gives the best of a million 250 of 2000000 orders, 0.8 gives it 2500")
    ] = 0.5,
    seed: Annotated[int, typer.Option(help="of the shop")] = 1,
    kept: Annotated[Path, typer.Option(help="directory where the file before the first refresh is kept for another time")] = WORK / "kept",
    out: Annotated[Path, typer.Option("--json", help="where the figures go")] = WORK / "marts.json",
) -> None:
    """Refresh all marts in full, let some customers change, refresh them again, let a day close, and refresh them again; each time in a new
    process.
    """
    shape = replace(shop_of(customers, touchpoints, orders, days, seed), skew=skew)
    limits = {name: value for name, value in (("memory_limit", memory_limit), ("threads", threads)) if value is not None}
    WORK.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=WORK) as temporary:
        path = Path(temporary) / "marts.duckdb"
        shutil.copyfile(_made(kept, shape), path)
        settings = _settings(path, limits)
        passes = {"full": refreshed(settings, is_full=True)}
        _fill(settings, [changes(shape, changed)])
        passes["incremental"] = refreshed(settings, is_full=False)
        _fill(settings, [a_day_later(changes(shape, changed))])
        passes["a day later"] = refreshed(settings, is_full=False)
    _show(passes)
    record = {
        "machine": machine(),
        "versions": versions(),
        "shape": asdict(shape),
        "changed": changed,
        "store": limits,
        "passes": _plain(passes),
    }
    out.write_text(json.dumps(record, indent=1))
    console.print(f"written to {out}")


def shop_of(customers: int, touchpoints: int, orders: int, days: int, seed: int) -> Shape:
    """A shop of so many touchpoints and orders, each once; some orders come in two versions."""
    messages = touchpoints + round(orders * (1 + _UPDATE_SHARE))
    return Shape(
        messages=messages,
        touchpoint_share=touchpoints / messages,
        days=days,
        customers=customers,
        duplicate_share=0.0,
        update_share=_UPDATE_SHARE,
        seed=seed,
    )


def changes(shape: Shape, share: float) -> Shape:
    """What comes of a share of the shape's customers in its last days: new touchpoints and orders, as many as that share of all."""
    days = min(_CHANGED_DAYS, shape.days)
    return replace(
        shape,
        messages=round(shape.messages * share),
        customers=round(shape.customers * share),
        days=days,
        start=shape.start + shape.days - days,
        late_share=0.0,
        part=_CHANGED_PART,
    )


def a_day_later(shape: Shape) -> Shape:
    """As much again, up to a day later: so the last day closes, and what passing days change is seen."""
    return replace(shape, start=shape.start + 1, part=shape.part + 1)


def _made(kept: Path, shape: Shape) -> Path:
    """The worker's file of that shop, without marts; made by backfill unless it was kept."""
    name = hashlib.sha256(repr(shape).encode()).hexdigest()[:_KEY]
    file, part = kept / f"marts-{name}.duckdb", kept / f"marts-{name}.part"
    if not file.exists():
        kept.mkdir(parents=True, exist_ok=True)
        for leftover in kept.glob(f"{part.name}*"):
            leftover.unlink()
        console.print(f"{shape.messages:,} events of {shape.customers:,} customers go into {file}")
        _fill(_settings(part, {}), shape.parts())
        part.rename(file)
    return file


def _fill(settings: Mapping[str, Any], shapes: Sequence[Shape]) -> None:
    """Backfill what these shapes bring about."""
    with TemporaryDirectory(dir=WORK) as temporary:
        for shop in map(Shop, shapes):
            archive.write(Path(temporary), shop)
        tidemark(settings, "backfill", "--from-archive", temporary, "--advance-watermark")


def _settings(path: Path, limits: Mapping[str, Any]) -> dict[str, Any]:
    """As JSON has them."""
    return {"store": {"path": str(path), **limits}, "log": {"level": "warning"}}


def _show(passes: Mapping[str, Sequence[Refreshed]]) -> None:
    for name, marts in passes.items():
        table = Table(title=f"{name} refresh: seconds", title_justify="left")
        for heading in ("mart", "unit"):
            table.add_column(heading)
        for heading in ("wall", "CPU", "rows read", "written", "audits: wall", "CPU", "failed", "peak RSS, MiB"):
            table.add_column(heading, justify="right")
        table.add_column("all, because")
        for each in sorted(marts, key=lambda each: -each.cpu):
            table.add_row(each.mart, each.unit, *_cells([each]), each.reason)
        table.add_section()
        table.add_row("all", "", *_cells(marts), style="bold")
        console.print(table)


def _cells(marts: Sequence[Refreshed]) -> list[str]:
    def total(name: str) -> float:
        return float(sum(getattr(each, name) for each in marts))

    return [
        *(f"{total(name):.2f}" for name in ("wall", "cpu")),
        *(f"{total(name):,.0f}" for name in ("rows_read", "rows_written")),
        *(f"{total(name):.2f}" for name in ("audit_wall", "audit_cpu")),
        f"{total('failed_audits'):.0f}",
        f"{max(each.peak_rss for each in marts) / MIB:,.0f}",
    ]


def _plain(passes: Mapping[str, Sequence[Refreshed]]) -> dict[str, list[dict[str, Any]]]:
    return {name: [asdict(each) for each in marts] for name, marts in passes.items()}


if __name__ == "__main__":
    app()
