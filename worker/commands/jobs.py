"""tidemark jobs: what was asked for beside the live stream. And how commands ask for it, through the worker or alone."""

import getpass
import socket
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated, Any, TypeAlias

import pyarrow as pa
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from worker.commands import AsJson, Sources, log_errors_alone
from worker.commands.formats import cells, count, counted, print_facts, screen, table, utc
from worker.commands.reading import report_rows
from worker.committer import StepResult
from worker.config import Settings
from worker.errors import ConfigError, ExitCode, StoreError, TidemarkError, Unavailable
from worker.events import EventBatch, Outcome
from worker.jobs.runner import JobRunner
from worker.run import Observer
from worker.serve.admin import NoWorker, ask
from worker.serve.rows import write_json
from worker.service import run_one_job
from worker.signals import Stop, signals_handled
from worker.store.jobs import JobRow, JobState
from worker.store.reader import require_file

app = typer.Typer(
    help="Replays, backfills, rebuilds and the like: what was asked for, how far it is, and how to end it.", no_args_is_help=True
)

JobId = Annotated[int, typer.Argument(help="As tidemark jobs list says it.")]
Detach = Annotated[bool, typer.Option("--detach", help="Leave it to the running worker, and return at once.")]

_EVERY = 0.5  # seconds between two looks at a job that a worker runs
_CLOSING_LOOKS = 20  # so often the file is looked at that a worker is about to close


class JobFailed(TidemarkError):
    """A job ended without having done its work; what it had committed stays."""

    exit_code = ExitCode.FAILED


@app.command("list")
def list_jobs(context: typer.Context, as_json: AsJson = False) -> None:
    """All jobs, newest first."""
    jobs = _jobs(context.ensure_object(Sources).settings())
    if as_json:
        write_json(jobs, sys.stdout)
        return
    if not jobs.num_rows:
        typer.echo("no jobs yet: tidemark replay, backfill, dlq replay, expired readmit and compact are some")
        return
    made = table(screen().width, left=["job", "kind", "state", "asked for"], right=["done", "read", "accepted", "rejected"])
    for row in jobs.to_pylist():
        numbers = (count(row[name]) for name in ("read", "accepted", "rejected"))
        made.add_row(*cells(row["id"], row["kind"], row["state"], utc(row["requested_at"]), _share(row), *numbers))
    screen().print(made)


@app.command("show")
def show_job(context: typer.Context, job_id: JobId) -> None:
    """One job: what it was asked to do, what became of its messages, and why it ended."""
    row = _row(context.ensure_object(Sources).settings(), job_id)
    print_facts(
        _name(row),
        [
            ("state", row["state"]),
            ("message", row["message"]),
            ("asked for", f"{utc(row['requested_at'])} by {row['requested_by']}"),
            ("began", utc(row["started_at"])),
            ("changed", utc(row["changed_at"])),
            ("ended", utc(row["ended_at"])),
            ("done", count(row["done"]) + ("" if row["total"] is None else f" of {count(row['total'])}")),
            ("outcome", outcomes(row)),
            ("arguments", row["arguments"]),
            ("goes on at", "" if row["ended_at"] else row["resume_point"]),
        ],
    )


@app.command("cancel")
def cancel_job(context: typer.Context, job_id: JobId) -> None:
    """End a job where it is. What it had committed stays; the same command again takes up the rest as duplicates."""
    settings = context.ensure_object(Sources).settings()
    try:
        ask(settings.admin_socket, "job_cancel", {"id": job_id})
    except NoWorker:
        require_file(settings.store.path)

        def cancelled(jobs: JobRunner) -> int:
            jobs.cancel_now(job_id)
            return job_id

        run_one_job(settings, cancelled, Stop(), Observer())
    typer.echo(f"job {job_id} is cancelled")


@app.command("resume")
def resume_job(context: typer.Context, job_id: JobId) -> None:
    """Go on with a job that was interrupted, and follow it. (A worker that starts goes on with it by itself.)"""
    settings = context.ensure_object(Sources).settings()
    row = _row(settings, job_id)
    if not _is_unfinished(row):
        raise ConfigError(f"job {job_id} has ended: it is {row['state']}", "Ask for it again: what is there already stays.")
    if _is_answered(settings):
        _follow(settings, job_id)
    else:
        _tell_end(plain(_run_alone(settings, lambda _: job_id)))


def submit(settings: Settings, kind: str, arguments: Mapping[str, Any], *, detach: bool = False, creates_file: bool = False) -> int:
    """Have a job done and follow it to its end: by the worker that holds the file, else here. Returns its id.

    Ctrl-C leaves it: the worker goes on with it; here, it goes on at the next start. Raises JobFailed, StoreError, Unavailable.
    """
    try:
        job_id = ask(settings.admin_socket, "job_submit", {"kind": kind, "arguments": arguments, "requested_by": _who()})
    except NoWorker:
        if detach:
            raise Unavailable(
                "--detach leaves it to a worker, and none runs", "Leave out --detach, or start the worker: tidemark run"
            ) from None
        if not creates_file:
            require_file(settings.store.path)
        row = run_alone(settings, kind, arguments)
        _tell_end(plain(row))
        return row.id
    typer.echo(f"the worker does it, as job {job_id}", err=True)
    if not detach:
        _follow(settings, job_id)
    return int(job_id)


def run_alone(settings: Settings, kind: str, arguments: Mapping[str, Any]) -> JobRow:
    """Have a job done here, on a file that no worker holds; Ctrl-C ends it before. Returns it as it then stands. Raises StoreError."""
    return _run_alone(settings, lambda jobs: jobs.add(kind, arguments, _who()))


def outcomes(row: Mapping[str, Any]) -> str:
    """What became of what a job has read; nothing where it reads nothing, as compact does."""
    told = ", ".join(f"{row[outcome]:,} {outcome}" for outcome in Outcome)
    return f"{counted(row['read'], 'row' if row['kind'] == 'backfill' else 'message')} read: {told}" if row["read"] else ""


def _who() -> str:
    return f"{getpass.getuser()}@{socket.gethostname()}"


_Find: TypeAlias = Callable[[JobRunner], int]


def _run_alone(settings: Settings, find: _Find) -> JobRow:
    log_errors_alone()
    stop = Stop()
    with signals_handled(stop), _Bar() as bar:
        watcher = _Watcher(bar, find)
        return run_one_job(settings, watcher.find, stop, watcher)


def _follow(settings: Settings, job_id: int) -> None:
    try:
        with _Bar() as bar:
            while _is_unfinished(row := _watched(settings, job_id)):
                bar.show(row)
                time.sleep(_EVERY)
    except KeyboardInterrupt:
        typer.echo(f"\njob {job_id} goes on in the worker: tidemark jobs show {job_id}; tidemark jobs cancel {job_id}", err=True)
        return
    _tell_end(row)


def _watched(settings: Settings, job_id: int) -> Mapping[str, Any]:
    """The job as the worker says it stands; where that ends, as the next one or the file says. Raises Unavailable where none goes on."""
    try:
        return _only(ask(settings.admin_socket, "report", {"name": "jobs", "parameters": {"id": job_id}}), job_id)
    except Unavailable as error:
        for _ in range(_CLOSING_LOOKS):
            with suppress(StoreError, Unavailable):  # it holds the file still
                row = _row(settings, job_id)
                if not _is_unfinished(row) or _is_answered(settings):
                    return row
                break
            time.sleep(_EVERY)
        remedy = f"It goes on when a worker starts, or with: tidemark jobs resume {job_id}"
        raise Unavailable(f"the worker that was to do job {job_id} has ended, or does not answer", remedy) from error


def _is_unfinished(row: Mapping[str, Any]) -> bool:
    return row["state"] in {JobState.QUEUED, JobState.RUNNING}


class _Watcher(Observer):
    """Draws the progress of a job that runs in this process."""

    def __init__(self, bar: "_Bar", find: _Find) -> None:
        self._bar = bar
        self._find = find
        self._look: Callable[[], JobRow] | None = None

    def find(self, jobs: JobRunner) -> int:
        """The job's id; from then on it is watched."""
        job_id = self._find(jobs)
        self._look = lambda: jobs.job(job_id)
        return job_id

    def merged(self, batch: EventBatch, result: StepResult) -> None:  # noqa: ARG002 - an observer's method
        self.ticked()

    def ticked(self) -> None:
        if self._look is not None:
            self._bar.show(plain(self._look()))


class _Bar:
    """Progress with the time that is left, on standard error; where that is no terminal, only what a job waits for."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[figures]}"), TimeRemainingColumn())
        console = Console(stderr=True)
        self._is_drawn = console.is_terminal
        self._progress = Progress(*columns, console=console, transient=True, disable=not self._is_drawn)
        self._task: TaskID | None = None
        self._message = ""

    def __enter__(self) -> "_Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def show(self, row: Mapping[str, Any]) -> None:
        if not self._is_drawn:
            if row["message"] not in ("", self._message) and row["state"] == JobState.RUNNING:
                typer.echo(f"{_name(row)}: {row['message']}", err=True)
            self._message = row["message"]
            return
        figures = f"{row['done']:,}" + (f" of {row['total']:,}" if row["total"] is not None else "")
        if row["message"]:
            figures += f", {row['message']}"
        if self._task is None:
            self._task = self._progress.add_task(_name(row), figures=figures)
        self._progress.update(self._task, completed=row["done"], total=row["total"], figures=figures)


def _name(row: Mapping[str, Any]) -> str:
    return f"job {row['id']} ({row['kind']})"


def _share(row: Mapping[str, Any]) -> str:
    return f"{100 * row['done'] / row['total']:.0f} %" if row["total"] else count(row["done"])


def _tell_end(row: Mapping[str, Any]) -> None:
    """The last line: what became of it. Raises JobFailed."""
    name, told = _name(row), outcomes(row)
    figures = f": {told}" if told else ""
    match JobState(row["state"]):
        case JobState.DONE:
            typer.echo(f"{name} is done{figures}")
        case JobState.FAILED:
            raise JobFailed(f"{name} failed{figures}\n{row['message']}", "What it had committed stays.")
        case JobState.CANCELLED:
            raise JobFailed(f"{name} was cancelled{figures}", "What it had committed stays.")
        case _:
            typer.echo(f"{name} was interrupted{figures}", err=True)
            typer.echo(f"It goes on when a worker starts, or with: tidemark jobs resume {row['id']}", err=True)


def _jobs(settings: Settings, job_id: int | None = None) -> pa.Table:
    return report_rows(settings, "jobs", {"id": job_id})


def _row(settings: Settings, job_id: int) -> dict[str, Any]:
    return _only(_jobs(settings, job_id), job_id)


def _only(found: pa.Table, job_id: int) -> dict[str, Any]:
    rows: list[dict[str, Any]] = found.to_pylist()
    if not rows:
        raise ConfigError(f"there is no job {job_id}", "tidemark jobs list names them.")
    return rows[0]


def plain(row: JobRow) -> dict[str, Any]:
    """What a line about it is made of, with the names of the report."""
    return {
        "id": row.id,
        "kind": row.kind,
        "state": row.state,
        "done": row.done,
        "total": row.total,
        "message": row.message,
        **row.counts,
    }


def _is_answered(settings: Settings) -> bool:
    try:
        ask(settings.admin_socket, "status")
    except NoWorker:
        return False
    return True
