"""`tidemark marts refresh` where no worker runs."""

import signal
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.support.shell import Shell
from tests.support.worker import Worker, touch
from worker.errors import ExitCode
from worker.marts.audits import Auditor
from worker.marts.refresh import Refresher

pytestmark = pytest.mark.usefixtures("logging_as_it_was", "signals_as_they_were")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_refresh_and_is_no_failure_of_its_mart(
    number: signal.Signals, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = Worker(tmp_path)
    worker.feed(touch("c1", "2026-03-01"), close="2026-03-01")
    worker.store.close()
    began: list[Any] = []

    def refresh(*arguments: Any) -> None:
        began.append(arguments)
        signal.raise_signal(number)
        raise RuntimeError("Query interrupted")  # as DuckDB makes it of whatever is raised

    monkeypatch.setattr(Refresher, "refresh", refresh)
    ended = Shell(capsys)("--set", f"store.path={worker.settings.store.path}", "marts", "refresh", "dim_date", "funnel")
    assert (ended.code, "stopped by a signal" in ended.err) == (ExitCode.INTERRUPTED, True), ended.err
    assert len(began) == 1
    with duckdb.connect(str(worker.settings.store.path), read_only=True) as connection:
        assert connection.execute("select count(*) from mart_run").fetchone() == (0,)


def test_a_signal_amid_the_audits_of_the_last_mart_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    worker = Worker(tmp_path)
    worker.feed(touch("c1", "2026-03-01"), close="2026-03-01")
    worker.store.close()

    def audit(*_: Any) -> None:
        signal.raise_signal(signal.SIGINT)
        raise RuntimeError("Query interrupted")

    monkeypatch.setattr(Auditor, "run", audit)
    ended = Shell(capsys)("--set", f"store.path={worker.settings.store.path}", "marts", "refresh", "funnel")
    assert (ended.code, "stopped by a signal" in ended.err) == (ExitCode.INTERRUPTED, True), ended.err
    with duckdb.connect(str(worker.settings.store.path), read_only=True) as connection:
        assert connection.execute("select mart, state from mart_run where mart = 'funnel'").fetchall() == [("funnel", "done")]
