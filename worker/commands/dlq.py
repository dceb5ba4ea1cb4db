"""tidemark dlq: messages that could not become events: look at them, take them up again once the fault is mended, or give them up."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.padding import Padding
from rich.text import Text

from worker import dlq
from worker.commands import AsJson, Sources, shown
from worker.commands.formats import cells, count, screen, size, table, utc
from worker.commands.jobs import Detach, submit
from worker.commands.kept_view import ValueAs, place, print_message, print_value
from worker.commands.reading import report_rows
from worker.commands.writing import have_done
from worker.config import Settings
from worker.decode.reasons import Reason
from worker.errors import ConfigError
from worker.events import Stage, Stream
from worker.replay import moment
from worker.serve.rows import write_json
from worker.store.jobs import JobState
from worker.store.rejected import Selection

app = typer.Typer(
    no_args_is_help=True,
    help="Rejected messages, as the file keeps them (<topic>.dlq on the broker is a copy for other tools): list, show, replay, drop.",
)

Ids = Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="As tidemark dlq list says them.")]
OfStream = Annotated[Stream | None, typer.Option("--stream", help="Of this stream.")]
OfTopic = Annotated[str | None, typer.Option("--topic", help="Of this topic.")]
OfStage = Annotated[Stage | None, typer.Option("--stage", help="Rejected at this stage.")]
OfReason = Annotated[Reason | None, typer.Option("--reason", help="Rejected for this reason.")]
OfFile = Annotated[str | None, typer.Option("--file", help="Rows of this file: its path, or the end of it.")]
Since = Annotated[str | None, typer.Option("--since", metavar="TIME", help="Ingested from then on (ISO 8601; UTC).")]
Until = Annotated[str | None, typer.Option("--until", metavar="TIME", help="Ingested before then.")]


@app.command("list")
def list_rejected(
    context: typer.Context,
    stream: OfStream = None,
    topic: OfTopic = None,
    stage: OfStage = None,
    reason: OfReason = None,
    file: OfFile = None,
    since: Since = None,
    until: Until = None,
    resolved: Annotated[bool, typer.Option("--all", help="Also those that came in later, or were dropped.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="So many messages at most, the newest.")] = 50,
    as_json: AsJson = False,
) -> None:
    """The rejected messages that are not resolved, newest first, below their counts by stream and reason."""
    settings = context.ensure_object(Sources).settings()
    selection = _selection(None, stream, topic, stage, reason, file, since, until).model_copy(update={"with_resolved": resolved})
    messages = report_rows(settings, "rejected_list", selection.parameters() | {"limit": limit})
    if as_json:
        write_json(messages, sys.stdout)
        return
    counts = _counts(settings, selection)
    if not counts:
        typer.echo("no rejected messages" if resolved else "no rejected messages on the list; with --all those that were resolved, too")
        return
    _print_counts(counts)
    _print_list(messages.to_pylist())
    if (found := sum(row["messages"] for row in counts)) > messages.num_rows:
        typer.echo(f"the newest {messages.num_rows:,} of {found:,}: --limit shows more, options choose among them")


@app.command("show")
def show_rejected(
    context: typer.Context,
    kept_id: Annotated[int, typer.Argument(metavar="ID", help="As tidemark dlq list says it.")],
    value: Annotated[ValueAs | None, typer.Option(help="Print the value alone, in this form.")] = None,
) -> None:
    """One message: where it came from, why it was rejected, its bytes, and its record as far as the writer's schema makes one of them."""
    settings = context.ensure_object(Sources).settings()
    rows = report_rows(settings, "rejected_message", {"id": kept_id}).to_pylist()
    if not rows:
        raise ConfigError(f"there is no rejected message {kept_id}", "tidemark dlq list says which there are.")
    if value is not None:
        print_value(settings, rows[0], value)
        return
    print_message(settings, f"rejected message {kept_id}", rows[0], _facts(rows[0]))


@app.command("replay")
def replay_rejected(
    context: typer.Context,
    ids: Ids = None,
    stream: OfStream = None,
    topic: OfTopic = None,
    stage: OfStage = None,
    reason: OfReason = None,
    file: OfFile = None,
    since: Since = None,
    until: Until = None,
    detach: Detach = False,
) -> None:
    """Take rejected messages up again, as if they had just come: these ids, those that the options choose, or all on the list.

    What becomes an event leaves the list, the rest stays with its new reason.
    """
    settings = context.ensure_object(Sources).read(check_files=True).settings
    selection = _selection(ids, stream, topic, stage, reason, file, since, until)
    meant = _meant(settings, selection)
    if not meant:
        typer.echo("no rejected message on the list is meant")
        return
    _print_counts(meant)
    job_id = submit(settings, dlq.KIND, _as_of(selection, meant).model_dump(mode="json", exclude_defaults=True), detach=detach)
    if not detach:
        _tell_replayed(settings, job_id)


@app.command("drop")
def drop_rejected(
    context: typer.Context,
    ids: Ids = None,
    stream: OfStream = None,
    topic: OfTopic = None,
    stage: OfStage = None,
    reason: OfReason = None,
    file: OfFile = None,
    since: Since = None,
    until: Until = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Give rejected messages up: they leave the list, and their bytes, keys and headers are gone.

    What remains is that they were there: reading the log again does not list them again.
    """
    settings = context.ensure_object(Sources).settings()
    selection = _selection(ids, stream, topic, stage, reason, file, since, until)
    if selection == Selection():
        raise ConfigError("which ones are to be dropped?", "Name their ids, or choose by --stream, --reason, --until, ..")
    meant = _meant(settings, selection)
    if not meant:
        typer.echo("no rejected message on the list is meant")
        return
    _print_counts(meant)
    if not yes:
        _ask(sum(row["messages"] for row in meant))
    selection = _as_of(selection, meant)
    dropped = have_done(settings, dlq.DROP, selection.model_dump(mode="json"), lambda committer, now: dlq.drop(committer, selection, now))
    typer.echo(f"messages dropped: {dropped:,}")


def _selection(
    ids: Sequence[int] | None,
    stream: Stream | None,
    topic: str | None,
    stage: Stage | None,
    reason: Reason | None,
    file: str | None,
    since: str | None,
    until: str | None,
) -> Selection:
    return Selection(
        ids=tuple(ids) if ids else None,
        stream=stream,
        topic=topic,
        stage=stage,
        reason=reason,
        file=file,
        since=since and moment(since),
        until=until and moment(until),
    )


def _counts(settings: Settings, selection: Selection) -> list[dict[str, Any]]:
    counts: list[dict[str, Any]] = report_rows(settings, "rejected_counts", selection.parameters()).to_pylist()
    return counts


def _meant(settings: Settings, selection: Selection) -> list[dict[str, Any]]:
    """How many are meant, by stream and reason. Raises ConfigError where an id is not on the list."""
    if selection.ids:
        found = report_rows(settings, "rejected_list", Selection(ids=selection.ids).parameters() | {"limit": len(selection.ids)})
        if missing := sorted(set(selection.ids) - set(found["id"].to_pylist())):
            raise ConfigError(f"not on the list: {', '.join(map(str, missing))}", "tidemark dlq list says which are.")
    return _counts(settings, selection)


def _as_of(selection: Selection, meant: Sequence[Mapping[str, Any]]) -> Selection:
    """What was counted and no more: messages that are rejected from now on are not meant."""
    return selection.model_copy(update={"last_id": max(row["last_id"] for row in meant)})


def _ask(messages: int) -> None:
    if not sys.stdin.isatty():
        raise ConfigError("nobody is there to be asked", "To drop them: --yes")
    typer.confirm(f"Drop these {messages:,} messages? Their bytes will be gone.", abort=True)


def _tell_replayed(settings: Settings, job_id: int) -> None:
    """The last line, once the job is done: how many came in, how many did not and why."""
    (job,) = report_rows(settings, "jobs", {"id": job_id}).to_pylist()
    if job["state"] != JobState.DONE:
        return
    again = json.loads(job["resume_point"])["feed"]["rejected_again"] if job["resume_point"] else {}
    reasons = ", ".join(f"{count(number)} {reason}" for reason, number in sorted(again.items(), key=lambda item: (-item[1], item[0])))
    told = [f"{job['read'] - job['rejected'] - job['expired']:,} came in"]
    if job["expired"]:
        told.append(f"{job['expired']:,} for sealed days (tidemark expired list)")
    told.append(f"{job['rejected']:,} rejected again" + (f": {reasons}" if again else ""))
    typer.echo(", ".join(told))


def _facts(row: Mapping[str, Any]) -> dict[str, str]:
    state = {
        None: "on the list" + (", not sent to the DLQ topic yet" if row["is_pending"] else ""),
        "accepted": f"became an event {utc(row['resolved_at'])}",
        "dropped": f"dropped {utc(row['resolved_at'])}",
    }
    return {"rejected": f"{row['reason']}, at {row['stage']}", "detail": row["detail"], "state": state[row["resolution"]]}


def _print_counts(counts: Sequence[Mapping[str, Any]]) -> None:
    console = screen()
    made = table(console.width, left=["rejected", "stage", "reason", "first", "last"], right=["messages", "size"])
    for row in counts:
        times = utc(row["first_at"]), utc(row["last_at"])
        made.add_row(*cells(row["stream"], row["stage"], row["reason"], *times, count(row["messages"]), size(row["bytes"])))
    console.print(made)


def _print_list(rows: Sequence[Mapping[str, Any]]) -> None:
    """Each with its detail, which may be long, below it."""
    console = screen()
    heads = [(str(row["id"]), utc(row["ingested_at"]), place(row), row["reason"], row["resolution"] or "") for row in rows]
    widths = [max(map(len, column)) for column in zip(*heads, strict=True)]
    console.print()
    for head, row in zip(heads, rows, strict=True):
        console.print(shown("  ".join(map(str.ljust, head, widths)).rstrip()), markup=False, soft_wrap=True)
        console.print(Padding(Text(shown(row["detail"])), (0, 0, 0, widths[0] + 2)))
