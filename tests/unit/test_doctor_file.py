"""What doctor says of the file, alone and beside the worker that holds it."""

import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.findings import gathered, told
from worker import __version__
from worker.commands.reading import report_rows
from worker.config import Serve, Settings
from worker.config import Store as StoreSettings
from worker.doctor.file import FileFacts, ago, file_checks, fixed_findings, log_findings, migration_findings, worker_finding
from worker.doctor.findings import Finding, Level, within
from worker.events import NextOffset, Partition
from worker.metrics import SourceState
from worker.resources import sql_dir
from worker.serve.admin import AdminServer
from worker.serve.operations import reading_operations
from worker.serve.query import Limits
from worker.serve.status import FileStatus, Status, StatusBoard
from worker.source import Identity
from worker.store.database import cursor, open_database

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(store=StoreSettings(path=tmp_path / "a.duckdb"))


@pytest.fixture
def file(settings: Settings) -> Path:
    """A file as a worker left it two hours ago."""
    with closing(open_database(settings, NOW)) as connection:
        connection.execute("insert into position values ('orders', 0, 'T1', 90, 3), ('orders', 1, 'T1', 7, null)")
        moment = {"moment": (NOW - timedelta(hours=2)).replace(tzinfo=None)}
        connection.execute("update progress set cluster_id = 'C1', committed_at = $moment", moment)
    return settings.store.path


def examined(settings: Settings) -> tuple[list[Finding], FileFacts | None]:
    """What is found, and the facts for later checks."""
    return gathered(within(30, "file", file_checks(settings, partial(rows, settings), NOW)))


def rows(settings: Settings, name: str) -> Sequence[Mapping[str, Any]]:
    found: list[dict[str, Any]] = report_rows(settings, name).to_pylist()
    return found


def test_before_the_first_start_there_is_no_file_and_that_is_fine(settings: Settings) -> None:
    (finding,), facts = examined(settings)
    assert (finding.level, "the first start makes it" in finding.found) == (Level.OK, True)
    assert facts == FileFacts()
    assert not settings.store.path.exists()


def test_a_file_tells_its_size_its_maker_its_storage_version_and_how_far_it_is(settings: Settings, file: Path) -> None:
    findings, facts = examined(settings)
    assert {finding.level for finding in findings} == {Level.OK}
    found = told(findings, "file").found
    assert f"for DuckDB v1.5.0+, made by tidemark {__version__}; nobody holds it; last commit 2026-03-03 10:00 UTC, 2h ago" in found
    assert f"{file.stat().st_size:,} bytes" in found
    assert facts is not None
    assert facts.identity == Identity("C1", {"orders": "T1"})
    assert facts.position == {Partition("orders", 0): NextOffset(90, 3), Partition("orders", 1): NextOffset(7, None)}


def test_a_new_file_has_no_identity_yet(settings: Settings) -> None:
    open_database(settings, NOW).close()
    findings, facts = examined(settings)
    assert "nothing committed yet" in told(findings, "file").found
    assert facts == FileFacts()


def test_beside_a_worker_the_worker_is_asked(settings: Settings, file: Path) -> None:
    board = StatusBoard()
    board.publish(Status(state=SourceState.CAUGHT_UP, not_ready=()))
    with closing(open_database(settings, NOW)) as connection:
        operations = reading_operations(partial(cursor, connection), board.status, Limits.of(Serve()))
        with AdminServer(settings.admin_socket, operations):
            findings, facts = examined(settings)
            file.rename(f"{file}.moved")
            gone, _ = examined(settings)
    assert told(findings, "worker").found == "one runs: caught_up"
    assert "held by the worker" in told(findings, "file").found
    assert facts is not None
    assert (facts.worker, len(facts.position)) == (board.status(), 2)
    assert told(gone, "file").level is Level.PROBLEM


def test_a_file_that_another_process_holds_is_a_problem_that_names_it(settings: Settings, file: Path) -> None:
    hold = "import duckdb, sys; held = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", hold, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdin
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        findings, facts = examined(settings)
        holder.stdin.close()
    finding = told(findings, "file")
    assert (finding.level, facts) == (Level.PROBLEM, None)
    assert f"(PID {holder.pid})" in finding.found


def test_what_is_no_file_of_ours_is_a_problem(settings: Settings) -> None:
    settings.store.path.write_text("something else")
    findings, facts = examined(settings)
    assert (told(findings, "file").level, facts) == (Level.PROBLEM, None)


def test_what_is_fixed_in_the_file_must_be_configured_so(settings: Settings) -> None:
    row = {"reporting_time_zone": "UTC", "reporting_currency": "EUR"}
    (finding,) = fixed_findings(settings, row)
    assert (finding.level, finding.found) == (Level.PROBLEM, "reporting_currency is EUR in the file and USD here")
    (finding,) = fixed_findings(settings, row | {"reporting_currency": "USD"})
    assert finding.level is Level.OK


def test_a_file_of_an_older_version_is_a_warning_to_make_a_backup() -> None:
    (finding,) = migration_findings(["0001_base"], {"0001_base", "0002_jobs"})
    assert (finding.level, "tidemark backup" in finding.remedy) == (Level.WARNING, True)
    assert not list(migration_findings(["0001_base"], {"0001_base"}))
    assert {path.stem for path in (sql_dir() / "migrations").glob("*.sql")} >= {"0001_base"}


@pytest.mark.parametrize(("megabytes", "level"), [(0, Level.OK), (250, Level.OK), (900, Level.WARNING)])
def test_a_log_that_outgrows_its_threshold_is_a_warning(megabytes: int, level: Level) -> None:
    (finding,) = log_findings(FileStatus(path="x", file_bytes=1, wal_bytes=megabytes * 1_000_000), "256MB")
    assert finding.level is level


@pytest.mark.parametrize(
    ("status", "level"),
    [
        (Status(state=SourceState.READING, not_ready=()), Level.OK),
        (Status(state=SourceState.UNAVAILABLE, not_ready=("away",), message="the broker is away"), Level.WARNING),
        (Status(state=SourceState.CAUGHT_UP, not_ready=(), versions={"tidemark": "0.0.1"}), Level.WARNING),
    ],
)
def test_how_a_worker_does(status: Status, level: Level) -> None:
    assert worker_finding(status).level is level


@pytest.mark.parametrize(
    ("passed", "text"),
    [
        (timedelta(seconds=3.7), "3s ago"),
        (timedelta(minutes=5, seconds=3), "5m3s ago"),
        (timedelta(hours=30, minutes=5, seconds=3), "1d6h ago"),
        (timedelta(seconds=-9), "0s ago"),
    ],
)
def test_how_long_ago_leaves_out_what_is_small_beside_the_rest(passed: timedelta, text: str) -> None:
    assert ago(NOW - passed, NOW) == text
