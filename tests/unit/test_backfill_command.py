"""`tidemark backfill` where no worker runs: what it says of an archive, and what becomes of offsets and of rejected rows."""

from pathlib import Path

import duckdb
import pytest

from tests.support.archives import arrow_schema, sink_path, touchpoint, touchpoints_parquet, write_parquet
from tests.support.shell import Shell
from worker.errors import ExitCode

pytestmark = pytest.mark.usefixtures("logging_as_it_was")

FILE = "tidemark.duckdb"


@pytest.fixture
def tidemark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(capsys)


def selected(sql: str) -> list[tuple[object, ...]]:
    with duckdb.connect(FILE, read_only=True) as connection:
        return connection.execute(sql).fetchall()


@pytest.mark.parametrize(("options", "offsets"), [((), [7, 8]), (("--without-offsets",), [])])
def test_offsets_of_another_log_can_be_left_alone(tidemark: Shell, options: tuple[str, ...], offsets: list[int]) -> None:
    touchpoints_parquet(sink_path(Path("archive"), "touchpoints", 0, 7, 8), (1, 2))
    ended = tidemark("backfill", "--from-archive", "archive", *options)
    assert ended.code == ExitCode.OK, ended.err
    assert selected("select count(*) from touchpoint") == [(2,)]
    assert selected("select first_offset, last_offset from day_offset where first_offset >= 0") == ([tuple(offsets)] if offsets else [])


@pytest.mark.parametrize(("options", "is_told"), [((), True), (("--without-offsets",), False)])
def test_that_no_broker_told_of_which_topics_the_offsets_are_is_said(tidemark: Shell, options: tuple[str, ...], is_told: bool) -> None:
    touchpoints_parquet(sink_path(Path("archive"), "touchpoints", 0, 7, 8), (1, 2))
    ended = tidemark("--set", "kafka.bootstrap_servers=127.0.0.1:9", "backfill", "--from-archive", "archive", *options)
    assert ("topic_ids_unknown" in ended.err, "127.0.0.1:9" in ended.err, "--without-offsets" in ended.err) == (is_told,) * 3


def test_files_that_are_left_out_are_told(tidemark: Shell) -> None:
    touchpoints_parquet(Path("archive/touchpoints.parquet"), (1, 2))
    for number in range(12):
        Path(f"archive/notes-{number:02}.txt").touch()
    out = tidemark("backfill", "--from-archive", "archive").out
    assert [f"notes-{number:02}.txt" in out for number in range(12)] == [True] * 10 + [False] * 2
    assert "and 2 other files" in out


def test_rejected_rows_of_files_are_kept_and_not_sent_to_the_topic_of_rejected_messages(tidemark: Shell) -> None:
    rows = [touchpoint(1), touchpoint(2), touchpoint(3, session_id="")]
    write_parquet(Path("archive/touchpoints.parquet"), rows, arrow_schema("touchpoints"))
    ended = tidemark("backfill", "--from-archive", "archive")
    assert ended.code == ExitCode.OK, ended.err
    assert selected("select file_row, reason, is_pending from rejected") == [(2, "empty_id", False)]


def test_a_job_that_fails_does_not_end_as_a_bug_does(tidemark: Shell) -> None:
    touchpoints_parquet(Path("archive/touchpoints.parquet"), (1, 2))
    assert tidemark("backfill", "--from-archive", "archive").code == ExitCode.OK
    with duckdb.connect(FILE) as connection:
        connection.execute("insert into position values ('orders', 0, 'unknown', 90, null)")
    ended = tidemark("backfill", "--from-archive", "archive", "--advance-watermark")
    assert ended.code == ExitCode.FAILED
    assert ended.err.startswith("tidemark: job 2 (backfill) failed\nthe file has a live position")
