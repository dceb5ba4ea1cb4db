"""The DuckDB file: who holds it, whether it is ours and fits the configuration, how far it has come."""

from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

from pydantic import ValidationError

from worker import __version__
from worker.config import Settings, duration_text, size_bytes
from worker.doctor.findings import Checks, Finding, counted, ok, problem, warning
from worker.errors import StoreError
from worker.events import NextOffset, Partition, Position
from worker.metrics import SourceState
from worker.resources import sql_dir
from worker.serve.admin import NoWorker, ask
from worker.serve.status import FileStatus, Status
from worker.source import Identity

Report: TypeAlias = Callable[[str], Sequence[Mapping[str, Any]]]  # the rows of sql/reports/<name>.sql

_SMALL_LOG = 64 << 20  # bytes that a commit may add at once


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What later checks want to know of the file. identity: none, where nothing was committed. worker: of a worker that runs."""

    position: Position = field(default_factory=dict)
    identity: Identity | None = None
    worker: Status | None = None


def file_checks(settings: Settings, report: Report, now: datetime) -> Checks[FileFacts]:
    """Looks at the file through the worker that holds it, else reads it; `report` may raise what reading a file raises."""
    worker = _worker(settings)
    if worker is not None:
        yield worker_finding(worker)
    path = settings.store.path
    if not path.exists():
        yield _absence(path, worker)
        return FileFacts(worker=worker)
    (row,) = report("doctor_file")
    yield ok("file", _summary(path, row, now, worker))
    yield from fixed_findings(settings, row)
    yield from migration_findings(row["migrations"], {migration.stem for migration in (sql_dir() / "migrations").glob("*.sql")})
    yield from log_findings(FileStatus.of(path), settings.store.checkpoint_threshold)
    position = report("doctor_position")
    stored = Identity(row["cluster_id"], {each["topic"]: each["topic_id"] for each in position}) if row["cluster_id"] else None
    next_offsets = {Partition(each["topic"], each["partition"]): NextOffset(each["next_offset"], each["leader_epoch"]) for each in position}
    return FileFacts(next_offsets, stored, worker)


def _worker(settings: Settings) -> Status | None:
    try:
        return Status.model_validate(ask(settings.admin_socket, "status"))
    except NoWorker:
        return None
    except ValidationError:
        raise StoreError("the worker that runs is of another version than this command", "Start it again with this version.") from None


def worker_finding(worker: Status) -> Finding:
    """Whether the worker that runs does its work."""
    version = worker.versions.get("tidemark", "an unknown version")
    if worker.state is SourceState.UNAVAILABLE or worker.not_ready:
        why = worker.message or "; ".join(worker.not_ready)
        return warning("worker", f"one runs and waits: {why}", "What it waits for is looked at below.")
    if version != __version__:
        return warning("worker", f"one runs, tidemark {version}; this is {__version__}", "Restart it with this version.")
    return ok("worker", f"one runs: {worker.state}")


def _absence(path: Path, worker: Status | None) -> Finding:
    if worker is None:
        return ok("file", f"{path} is not there yet: the first start makes it")
    remedy = "It was moved or deleted under the worker, which writes to it still: tidemark backup now, before the worker is stopped."
    return problem("file", f"{path} is not there, though a worker runs", remedy)


def _summary(path: Path, row: Mapping[str, Any], now: datetime, worker: Status | None) -> str:
    size, held = FileStatus.of(path), "held by the worker" if worker else "nobody holds it"
    about = f"{path}: {size.file_bytes:,} bytes for DuckDB {row['storage_version']}, made by tidemark {row['created_by']}; {held}"
    if row["committed_at"] is None:
        return f"{about}; nothing committed yet"
    committed_at = row["committed_at"].replace(tzinfo=UTC)
    return f"{about}; last commit {committed_at:%Y-%m-%d %H:%M} UTC, {ago(committed_at, now)}"


def ago(moment: datetime, now: datetime) -> str:
    """'3h5m ago', without what is small beside the rest."""
    passed = max(now - moment, timedelta(0))
    unit = next((timedelta(seconds=unit) for unit in (3600, 60) if passed.total_seconds() > 24 * unit), timedelta(seconds=1))
    return f"{duration_text(passed // unit * unit)} ago"


def fixed_findings(settings: Settings, row: Mapping[str, Any]) -> Iterator[Finding]:
    """What was fixed when the file was created must be configured so still."""
    configured = {"reporting_time_zone": settings.time.reporting_time_zone, "reporting_currency": settings.reporting_currency}
    others = [f"{name} is {row[name]} in the file and {value} here" for name, value in configured.items() if row[name] != value]
    if others:
        remedy = "That is fixed when the file is created: set it back, or name a new file: store.path."
        yield problem("fixed settings", "; ".join(others), remedy)
    else:
        yield ok("fixed settings", ", ".join(configured.values()))


def migration_findings(applied: Sequence[str], known: Set[str]) -> Iterator[Finding]:
    """Whether the file's tables are this version's. One that is newer can't be opened at all."""
    if missing := sorted(known - set(applied)):
        remedy = "Its next start by this version changes that, and older versions can't read it then: tidemark backup before."
        yield warning("file version", f"the file lacks {counted(len(missing), 'migration')} of this version: {', '.join(missing)}", remedy)


def log_findings(file: FileStatus, checkpoint_threshold: str) -> Iterator[Finding]:
    """The write-ahead log is moved into the file when it has grown to the threshold; a query that runs long holds that up."""
    if file.wal_bytes > 2 * size_bytes(checkpoint_threshold) + _SMALL_LOG:
        found = f"it has {file.wal_bytes:,} bytes, far above store.checkpoint_threshold, {checkpoint_threshold}"
        remedy = "Something holds up checkpoints: look for queries that run long, lower serve.query_seconds, restart the worker."
        yield warning("write-ahead log", found, remedy)
    else:
        yield ok("write-ahead log", f"{file.wal_bytes:,} bytes")
