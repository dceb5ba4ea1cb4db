"""tidemark doctor: what keeps the worker from its work, or will."""

import os
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

import typer

from worker.commands import AsJson, Sources
from worker.commands.findings import print_findings, refuse_problems, summary
from worker.commands.reading import report_rows
from worker.config import Settings
from worker.doctor import examine
from worker.run import SYSTEM_CLOCK


def doctor(context: typer.Context, as_json: AsJson = False) -> None:
    """Look at everything the worker depends on, beside a running one or before the first start, and say what to do. Changes nothing.

    Exit code 5 if there is a problem; warnings are none.
    """
    sources = context.ensure_object(Sources)
    with closing(examine(sources.read, _report, os.environ, SYSTEM_CLOCK.now)) as found:
        findings = print_findings(found, as_json=as_json)
    if not as_json:
        typer.echo(summary(findings))
    refuse_problems(findings, "there are problems")


def _report(settings: Settings, name: str) -> Sequence[Mapping[str, Any]]:
    rows: list[dict[str, Any]] = report_rows(settings, name).to_pylist()
    return rows
