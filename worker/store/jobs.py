"""Table job: what was asked for beside the live stream, and how far it has come."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import duckdb

from worker.aggregate import Accounting
from worker.events import Outcome
from worker.store.sql import run


class JobState(StrEnum):
    """queued and running jobs go on when a worker starts; the others have ended."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


_ENDED = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job is once a commit is done. `resume_point` is what JSON has; `total` None: unknown still."""

    job_id: int
    done: int
    total: int | None
    resume_point: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class JobRow:
    """One row of table job. `counts`: what became of the messages; times are UTC, without a zone."""

    id: int
    kind: str
    arguments: Mapping[str, Any]
    state: JobState
    requested_by: str
    requested_at: datetime
    started_at: datetime | None
    changed_at: datetime
    ended_at: datetime | None
    done: int
    total: int | None
    resume_point: Mapping[str, Any] | None
    counts: Mapping[str, int]
    message: str

    @property
    def is_unfinished(self) -> bool:
        """It goes on when a worker starts."""
        return self.state not in _ENDED


_COUNTS = ("read", *(outcome.value for outcome in Outcome))


def all_jobs(connection: duckdb.DuckDBPyConnection) -> list[JobRow]:
    """All there ever were, by id."""
    found = run(connection, "state/jobs", {})
    names = [column[0] for column in found.description or ()]
    return [_row(dict(zip(names, values, strict=True))) for values in found.fetchall()]


def add(connection: duckdb.DuckDBPyConnection, kind: str, arguments: Mapping[str, Any], requested_by: str, now: datetime) -> int:
    """A new job, queued. Returns its id."""
    parameters = {"kind": kind, "arguments": json.dumps(arguments), "requested_by": requested_by, "now": now.replace(tzinfo=None)}
    ((job_id,),) = run(connection, "state/job_add", parameters).fetchall()
    return int(job_id)


def set_state(connection: duckdb.DuckDBPyConnection, job_id: int, state: JobState, now: datetime, message: str = "") -> None:
    """It begins, or ends; then what it had laid aside goes. Within the caller's transaction."""
    run(connection, "state/job_state", {"id": job_id, "state": state.value, "message": message, "now": now.replace(tzinfo=None)})
    if state in _ENDED:
        run(connection, "rebuild/clear", {"id": job_id})


def save_progress(connection: duckdb.DuckDBPyConnection, progress: Progress, accounting: Accounting | None) -> None:
    """Within the transaction of the work itself."""
    streams = accounting.streams.values() if accounting else ()
    counts = {"read": sum(counts.read for counts in streams)}
    counts |= {outcome.value: sum(counts.outcomes[outcome] for counts in streams) for outcome in Outcome}
    own = {
        "id": progress.job_id,
        "done": progress.done,
        "total": progress.total,
        "resume_point": json.dumps(progress.resume_point),
        "changed_at": progress.at.replace(tzinfo=None),
    }
    run(connection, "state/job_progress", own | counts)


def _row(values: dict[str, Any]) -> JobRow:
    counts = {name: values.pop(name) for name in _COUNTS}
    point = values.pop("resume_point")
    return JobRow(
        **values
        | {
            "arguments": json.loads(values["arguments"]),
            "state": JobState(values["state"]),
            "resume_point": None if point is None else json.loads(point),
            "counts": counts,
        }
    )
