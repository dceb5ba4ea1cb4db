"""tidemark verify: does every table agree with a batch computation over the accepted rows?"""

import time
from contextlib import closing
from dataclasses import asdict
from typing import Annotated, Any

import typer

from worker.commands import AsJson, Sources, print_json_lines
from worker.commands.days import day_range
from worker.commands.formats import print_rows
from worker.errors import Differences
from worker.run import SYSTEM_CLOCK
from worker.store.database import open_database, with_all_cores
from worker.store.reader import open_reader, require_file
from worker.verify import TableResult, switched_on, verify


def verify_command(
    context: typer.Context,
    days: Annotated[str | None, typer.Option(metavar="A..B", help="Only these days, e.g. 2026-03-01..2026-03-31, or one day.")] = None,
    repair: Annotated[bool, typer.Option("--repair", help="Fill tables that differ anew from the rows. Sealed days can't be.")] = False,
    as_json: AsJson = False,
) -> None:
    """Recompute every table from the accepted rows and compare it row by row; sealed days by their checksums. Exit code 5 if any differs.

    Needs the file for itself: stop the worker first.
    """
    settings = context.ensure_object(Sources).settings()
    first, last = day_range(days, "--days") if days else (None, None)
    began = time.monotonic()
    require_file(settings.store.path)
    store = with_all_cores(settings.store)
    settings = settings.model_copy(update={"store": store})
    opened = open_database(settings, SYSTEM_CLOCK.now()) if repair else open_reader(store.path, store, spill=True)
    with closing(opened) as connection:
        results = list(verify(connection, switched_on(connection), first, last, repair=repair))
    if as_json:
        print_json_lines(_plain(result) for result in results)
    else:
        _print(results, time.monotonic() - began)
    wrong = [result for result in results if not result.agrees]
    if wrong:
        raise Differences(
            f"{len(wrong)} of {len(results)} tables differ from their recomputation: {', '.join(result.table for result in wrong)}",
            _remedy(wrong, repair=repair),
        )


def _remedy(wrong: list[TableResult], *, repair: bool) -> str:
    lines = []
    if any(result.differences for result in wrong if not result.is_audit):
        lines.append(
            "They were filled anew; run tidemark verify again." if repair else "To fill them anew from the rows: tidemark verify --repair"
        )
    if any(result.wrong_sealed_days for result in wrong):
        lines.append("The rows of sealed days are gone, so these can't be computed again: take them from a backup.")
    if any(result.is_audit for result in wrong):
        lines.append("What an audit finds is in the accepted rows themselves: take the file from a backup; the worker reads on from there.")
    return "\n".join(lines)


def _print(results: list[TableResult], seconds: float) -> None:
    rows = [(r.table, f"{r.rows:,}", r.sealed_days or "", r.differences or "", _verdict(r)) for r in results]
    print_rows(
        ["table", "rows compared", "sealed days", "differences", "verdict"], rows, right=["rows compared", "sealed days", "differences"]
    )
    for result in results:
        for difference in result.examples:
            kind = "is odd" if result.is_warning else "is there and should not be" if difference.found else "should be there and is not"
            typer.echo(f"{result.table}: a row {kind}: {_row(difference.row)}")
        if result.wrong_sealed_days:
            typer.echo(f"{result.table}: sealed days whose checksum differs: {', '.join(map(str, result.wrong_sealed_days))}")
    tables, audits = [r.agrees for r in results if not r.is_audit], [not r.differences for r in results if r.is_audit]
    compared = f"{sum(tables)} of {len(tables)} tables agree, {sum(r.rows for r in results):,} rows compared in {seconds:.1f} s"
    typer.echo(f"{compared}; {sum(audits)} of {len(audits)} audits find nothing.")


def _verdict(result: TableResult) -> str:
    if result.agrees:
        return "warning" if result.differences else "agrees"
    return "repaired" if result.repaired and not result.wrong_sealed_days else "differs"


def _row(row: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in row.items())


def _plain(result: TableResult) -> dict[str, Any]:
    plain = asdict(result) | {"agrees": result.agrees, "wrong_sealed_days": [day.isoformat() for day in result.wrong_sealed_days]}
    plain["examples"] = [
        {"found": example.found, "row": {name: value if isinstance(value, int) else str(value) for name, value in example.row.items()}}
        for example in result.examples
    ]
    return plain
