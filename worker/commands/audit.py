"""tidemark audit: are there rows that should not exist?"""

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import asdict
from typing import Annotated, Any

import typer

from worker.commands import AsJson, Sources, log_errors_alone, print_json_lines, shown
from worker.commands.formats import counted, print_rows
from worker.commands.marts import left_out
from worker.config import Settings
from worker.errors import ConfigError, Differences
from worker.marts.audits import Auditor, AuditState
from worker.marts.collection import check, collected
from worker.marts.refresh import Refresher
from worker.serve.admin import NoWorker, ask
from worker.store.reader import open_reader


def audit(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="Only these marts and tables. Default: all.")] = None,
    severity: Annotated[str | None, typer.Option(metavar="error|warning", help="Only audits of this severity.")] = None,
    as_json: AsJson = False,
) -> None:
    """Look for rows that should not exist, in marts and in the tables they are made of. Exit code 5 if an audit of severity error fails, 8
    if a mart could not be audited, for its file is wrong.

    A running worker does it, and keeps what it finds for status and metrics; without one, the file is only read.
    """
    settings = context.ensure_object(Sources).settings()
    if severity not in (None, "error", "warning"):
        raise ConfigError(f"--severity {severity}: there is no such severity", "Choose error or warning.")
    marts = collected(settings.marts)
    check(names or (), marts.faults)
    auditor = Auditor(Refresher(marts.marts, settings.marts.parameters(), settings.reporting_currency))
    tables = names or auditor.tables
    if unknown := sorted(set(tables) - set(auditor.tables)):
        raise ConfigError(f"there is nothing to audit that is called {', '.join(unknown)}", "tidemark audit --json prints all names.")
    began = time.monotonic()
    found = [result for result in _results(settings, auditor, tables) if severity in (None, result["severity"])]
    if as_json:
        print_json_lines(found)
    else:
        _print(found, tables, time.monotonic() - began)
    wrong = [result for result in found if _fails(result)]
    if errors := sorted({f"{result['table']}: {result['audit']}" for result in wrong if result["severity"] == "error"}):
        raise Differences(f"{counted(len(errors), 'audit')} of severity error failed: {', '.join(errors)}", _remedy(wrong))
    left_out({} if names else marts.faults, "audited")


def _results(settings: Settings, auditor: Auditor, tables: Sequence[str]) -> list[Mapping[str, Any]]:
    """By the worker that holds the file, else from the file."""
    try:
        patience = 2 * settings.marts.timeout.total_seconds() + 30  # for a refresh that is under way, too
        return [result for table in tables for result in ask(settings.admin_socket, "audit", {"table": table}, patience)]
    except NoWorker:
        log_errors_alone()
        with closing(open_reader(settings.store.path, settings.store, spill=True)) as connection:
            return [asdict(result) for table in tables for result in auditor.run(connection, table)]


def _fails(result: Mapping[str, Any]) -> bool:
    return result["state"] in {AuditState.FOUND, AuditState.BROKEN}


def _print(results: Sequence[Mapping[str, Any]], tables: Sequence[str], seconds: float) -> None:
    rows = []
    for table in tables:
        own = [result for result in results if result["table"] == table]
        failed = sum(_fails(result) for result in own)
        skipped = next((result["message"] for result in own if result["state"] == AuditState.SKIPPED), "")
        seconds_of = sum(result["seconds"] for result in own)
        rows.append(
            (table, len(own), failed or "", f"{seconds_of:.2f}", "fails" if failed else f"skipped: {skipped}" if skipped else "passes")
        )
    print_rows(["table", "audits", "failed", "seconds", "verdict"], rows, right=["audits", "failed", "seconds"])
    for result in results:
        if _fails(result):
            _print_failed(result)
    typer.echo(_summary(results, tables, seconds))


def _print_failed(result: Mapping[str, Any]) -> None:
    what = counted(result["rows"], "row") if result["state"] == AuditState.FOUND else f"could not be run: {shown(result['message'])}"
    typer.echo(f"\n{result['severity']}: {result['table']}: {result['audit']}: {what}")
    if result["examples"]:
        columns = list(result["examples"][0])
        print_rows(columns, [[example[column] for column in columns] for example in result["examples"]])
    if result["remedy"]:
        typer.echo(shown(result["remedy"]))


def _summary(results: Sequence[Mapping[str, Any]], tables: Sequence[str], seconds: float) -> str:
    ran = [result for result in results if result["state"] != AuditState.SKIPPED]
    keys = {result["table"] for result in ran if result["is_key"]}
    failed = [result["severity"] for result in ran if _fails(result)]
    parts = [
        f"{counted(len(ran), 'audit')} in {seconds:.1f} s",
        f"{failed.count('error')} failed",
        f"{counted(failed.count('warning'), 'warning')}",
        f"{len(results) - len(ran)} skipped",
        f"keys audited: {len(keys)} of {len(tables)} ({len(keys) / len(tables):.0%})",
    ]
    return "; ".join(parts)


def _remedy(wrong: Sequence[Mapping[str, Any]]) -> str:
    return "\n".join(dict.fromkeys(result["remedy"] for result in wrong if result["remedy"])) or (
        "Of a mart: tidemark marts refresh --full NAME. Of another table: tidemark verify says whether its rows can be computed anew."
    )
