"""tidemark expired: events that came for sealed days, kept aside with their bytes."""

import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Any

import typer

from worker.commands import AsJson, Sources
from worker.commands.changes import show_changes
from worker.commands.days import day_range
from worker.commands.formats import cells, count, screen, size, table, utc
from worker.commands.jobs import Detach, submit
from worker.commands.kept_view import ValueAs, place, print_message, print_value
from worker.commands.reading import report_rows
from worker.commands.replay import rebuild_plan
from worker.errors import ConfigError
from worker.events import Stream
from worker.job_kinds import archive_arguments
from worker.serve.rows import write_json

app = typer.Typer(no_args_is_help=True, help="Events that came when their day was sealed, as the file keeps them: list, show, readmit.")


@app.command("list")
def list_expired(
    context: typer.Context,
    day: Annotated[str | None, typer.Option(metavar="DAY", help="For this day, e.g. 2026-03-05.")] = None,
    stream: Annotated[Stream | None, typer.Option(help="Of this stream.")] = None,
    resolved: Annotated[bool, typer.Option("--all", help="Also those that came in later.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="So many messages at most, the newest.")] = 50,
    as_json: AsJson = False,
) -> None:
    """The expired messages that are not resolved, newest first, below their counts by day and stream."""
    settings = context.ensure_object(Sources).settings()
    meant = {"day": day and _day(day), "stream": stream, "with_resolved": resolved}
    messages = report_rows(settings, "expired_list", meant | {"limit": limit})
    if as_json:
        write_json(messages, sys.stdout)
        return
    counts = report_rows(settings, "expired_counts", meant).to_pylist()
    if not counts:
        typer.echo("no expired messages are meant" if day or stream else "no expired messages")
        return
    _print_counts(counts)
    _print_list(messages.to_pylist())
    if (found := sum(row["messages"] for row in counts)) > messages.num_rows:
        typer.echo(f"the newest {messages.num_rows:,} of {found:,}: --limit shows more, --day and --stream choose among them")
    typer.echo(f"To bring them in, the whole day is read again: tidemark expired readmit --day {counts[0]['day']}")


@app.command("show")
def show_expired(
    context: typer.Context,
    kept_id: Annotated[int, typer.Argument(metavar="ID", help="As tidemark expired list says it.")],
    value: Annotated[ValueAs | None, typer.Option(help="Print the value alone, in this form.")] = None,
) -> None:
    """One message: where it came from, the sealed day that it is for, its bytes, and its record."""
    settings = context.ensure_object(Sources).settings()
    rows = report_rows(settings, "expired_message", {"id": kept_id}).to_pylist()
    if not rows:
        raise ConfigError(f"there is no expired message {kept_id}", "tidemark expired list says which there are.")
    if value is not None:
        print_value(settings, rows[0], value)
        return
    (row,) = rows
    state = f"came in {utc(row['resolved_at'])}" if row["resolved_at"] else "set aside"
    print_message(settings, f"expired message {kept_id}", row, {"sealed day": str(row["day"]), "state": state})


@app.command("readmit")
def readmit(
    context: typer.Context,
    day: Annotated[str, typer.Option(metavar="DAY", help="The sealed day, e.g. 2026-03-05, or DAY..DAY.")],
    from_archive: Annotated[
        Path | None,
        typer.Option("--from-archive", metavar="DIR", help="Where the log has the day no more: an archive that has all of it."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="On a copy of the file: show what would change, by day and table.")] = False,
    detach: Detach = False,
) -> None:
    """Bring expired events in. Their day is sealed, so it is computed anew, whole: from the log or an archive, and from these events."""
    settings = context.ensure_object(Sources).read(check_files=True).settings
    first, last = day_range(day, "--day")
    meant = {"first": first.isoformat(), "last": last.isoformat()}
    (found,) = report_rows(settings, "expired_days", meant).to_pylist()
    if not found["messages"]:
        typer.echo("no expired messages are meant")
        return
    arguments: dict[str, Any] = {"days": [first.isoformat(), last.isoformat()], "readmit": found["last_id"]}
    if from_archive is None:
        arguments["plan"] = rebuild_plan(settings, first, last).as_json()
    else:
        arguments |= archive_arguments(from_archive)
    if dry_run:
        show_changes(settings, "rebuild", arguments)
    else:
        submit(settings, "rebuild", arguments, detach=detach)


def _day(text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ConfigError(f"--day {text}: not a day", "Write it as 2026-03-05.") from None


def _print_counts(counts: Sequence[Mapping[str, Any]]) -> None:
    console = screen()
    made = table(console.width, left=["expired", "stream", "first", "last"], right=["messages", "size"])
    for row in counts:
        times = utc(row["first_at"]), utc(row["last_at"])
        made.add_row(*cells(row["day"], row["stream"], *times, count(row["messages"]), size(row["bytes"])))
    console.print(made)


def _print_list(rows: Sequence[Mapping[str, Any]]) -> None:
    console = screen()
    made = table(console.width, left=["id", "ingested", "day", "stream", "from"], right=["size"])
    for row in rows:
        made.add_row(*cells(row["id"], utc(row["ingested_at"]), row["day"], row["stream"], place(row), size(row["bytes"] or 0)))
    console.print()
    console.print(made)
