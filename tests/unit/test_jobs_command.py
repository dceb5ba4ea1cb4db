"""A command that follows a job which a worker does, and the worker that ends meanwhile."""

from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.shell import Shell
from worker.config import Settings
from worker.config import Store as StoreSettings
from worker.errors import ExitCode, Unavailable
from worker.serve.admin import AdminServer
from worker.store import Store
from worker.store.jobs import JobState

pytestmark = pytest.mark.usefixtures("logging_as_it_was")

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)


@pytest.mark.parametrize("state", [JobState.RUNNING, JobState.DONE])
def test_who_follows_a_job_is_told_what_the_worker_has_left_at_its_end(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], state: JobState
) -> None:
    """A job that goes on would otherwise be followed for ever, in a file that the next worker needs for itself."""
    settings = Settings(store=StoreSettings(path=tmp_path / "shop.duckdb"))
    store = Store(settings, NOW)

    def submit(arguments: Mapping[str, Any]) -> int:
        return store.add_job(arguments["kind"], arguments["arguments"], arguments["requested_by"], NOW)

    def end(_arguments: Mapping[str, Any]) -> None:
        store.set_job_state(1, state, NOW)
        store.close()
        settings.admin_socket.unlink()
        raise Unavailable("the worker stops")

    with closing(store), AdminServer(settings.admin_socket, {"job_submit": submit, "report": end}):
        ended = Shell(capsys)("--set", f"store.path={settings.store.path}", "compact")
    if state is JobState.DONE:
        assert (ended.code, "job 1 (compact) is done" in ended.out) == (ExitCode.OK, True), ended.err
    else:
        assert (ended.code, "tidemark jobs resume 1" in ended.err) == (ExitCode.UNAVAILABLE, True), ended.err
