"""What a running worker does at its admin socket about jobs."""

from collections.abc import Mapping
from typing import Any

from worker.jobs.runner import JobRunner
from worker.serve.admin import Operation


def job_operations(jobs: JobRunner) -> dict[str, Operation]:
    """`job_submit` (kind, arguments, requested_by) answers with the job's id; `job_cancel` (id) ends it where it is."""

    def submit(arguments: Mapping[str, Any]) -> int:
        return jobs.submit(str(arguments["kind"]), arguments["arguments"], str(arguments["requested_by"]))

    def cancel(arguments: Mapping[str, Any]) -> None:
        jobs.cancel(int(arguments["id"]))

    return {"job_submit": submit, "job_cancel": cancel}
