"""`tidemark status` on a screen: what one sees at 80 and at 160 columns, and what watching does when the worker goes and comes."""

import io
import json
import os
import pty
import select
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.support.commands import ROOT, command
from worker import cli
from worker.commands.status import Look, Watcher, draw_looks, until_interrupted
from worker.commands.status_view import StatusView
from worker.config import Serve, Settings
from worker.config import Store as StoreSettings
from worker.errors import ConfigError, ExitCode, StoreError
from worker.metrics import SourceState
from worker.serve.admin import AdminServer
from worker.serve.operations import reading_operations
from worker.serve.query import Limits
from worker.serve.rates import Rates
from worker.serve.status import (
    AccountingStatus,
    DaysStatus,
    FileStatus,
    JobStatus,
    PartitionStatus,
    RejectedStatus,
    RemergeStatus,
    Status,
)
from worker.store.database import open_database

NOW = datetime(2026, 3, 7, 12, tzinfo=UTC)
PATIENCE = 60.0  # seconds; a busy machine must not fail a test


def ago(**length: int) -> datetime:
    return NOW - timedelta(**length)


def busy() -> Status:
    """A worker that is behind, with something of everything, and large numbers."""
    topics = ("shop.orders.v1", "shop.touchpoints.v1")
    counts = {"read": 2_112_345_678, "accepted": 2_112_345_600, "duplicate": 70, "superseded": 8, "rejected": 0, "expired": 0}
    job = {"read": 7, "accepted": 3, "rejected": 0, "requested_at": ago(hours=9), "started_at": None, "ended_at": None, "message": ""}
    return Status(
        taken_at=NOW,
        state=SourceState.READING,
        not_ready=(),
        watermark=ago(minutes=7),
        watermark_lag_seconds=420,
        last_commit_at=ago(seconds=1),
        reporting_time_zone="Europe/Berlin",
        reporting_currency="EUR",
        days=DaysStatus(open=2, closed=721, sealed=30, first=date(2024, 1, 1), last=date(2026, 3, 7)),
        partitions=tuple(
            PartitionStatus(topic=topic, partition=number, next_offset=812_345_678, log_end_offset=812_345_778, offset_lag=100 * number)
            for topic in topics
            for number in range(6)
        ),
        accounting=tuple(
            AccountingStatus(stream="touchpoints", origin=origin, conflicting_duplicates=3, **counts) for origin in ("live", "replay")
        ),
        rejected=(RejectedStatus(stream="orders", stage="decode", reason="malformed", messages=1234, pending=2, last_at=ago(hours=3)),),
        remerges=tuple(
            RemergeStatus(
                day=date(2026, 3, number),
                revision=7,
                changed_at=ago(days=number),
                late_new=123,
                late_update=45,
                touchpoints=119,
                orders=-3,
                net_cents=-1_234_567,
            )
            for number in range(1, 6)
        ),
        jobs=(JobStatus(id=13, kind="replay", state="running", done=30, total=120, changed_at=ago(seconds=2), **job),),
        rates=Rates(
            seconds=10.0,
            messages_per_second=84_321.4,
            commits_per_second=1.43,
            file_bytes_per_second=2.3e6,
            wal_bytes_per_second=-4.5e6,
            offset_lag_per_second=-61.5,
            catch_up_seconds=49.0,
            history=(0.0, 100.0, 200.0),
        ),
        file=FileStatus(path="shop.duckdb", file_bytes=48_123_456_789, wal_bytes=412_345_678),
    )


def screen(width: int, height: int = 24, **options: Any) -> Console:
    """A terminal that writes into a buffer."""
    fixed: dict[str, Any] = {"force_terminal": True, "color_system": None, "highlight": False, "_environ": {}}
    return Console(file=io.StringIO(), width=width, height=height, **fixed | options)


def written(console: Console) -> str:
    file = console.file
    assert isinstance(file, io.StringIO)
    return file.getvalue()


def drawn(status: Status, width: int, *, height: int | None = None, notice: str = "") -> list[str]:
    """The lines on a screen of that width, without escape sequences."""
    console = screen(width, force_terminal=False)
    console.print(StatusView(status, NOW, notice=notice, height=height))
    return [line.rstrip() for line in written(console).splitlines()]


def row(lines: list[str], *begin: str) -> list[str]:
    """The words of the one line that begins with these."""
    (found,) = [line.split() for line in lines if line.split()[: len(begin)] == list(begin)]
    return found


@pytest.mark.parametrize("width", [80, 160])
def test_a_screen_shows_everything_and_cuts_no_number(width: int) -> None:
    lines = drawn(busy(), width)
    assert all(cell_len(line) <= width for line in lines)
    text = "\n".join(lines)
    assert lines[0].split() == ["reading", "shop.duckdb", "2026-03-07", "12:00:00", "UTC"]
    for fact in (
        "watermark   2026-03-07 11:53:00 UTC, 7 m behind the clock",
        "offset lag  3,000, caught up in 49 s at -62/s",
        "84,321 messages/s  | ▄█| the last 15 s",
        "1.4/s, the last 1 s ago",
        "48.1 GB (+2.3 MB/s), write-ahead log 412 MB (-4.5 MB/s)",
        "2 open, 721 closed, 30 sealed; 2024-01-01 to 2026-03-07",
        "days in Europe/Berlin",
        "shop.orders.v1              5 812,345,678 812,345,778 500",
        "2026-03-05        7 123      45        +119     -3 -12,345.67 5 d",
        "touchpoints 2,112,345,678 2,112,345,600     70        3      8        0       0",
        "orders   decode malformed    1,234       2 3 h",
        "25 %",
    ):
        assert fact in text, fact


def test_a_small_screen_keeps_the_facts_and_something_of_every_table() -> None:
    lines = drawn(busy(), 80, height=24)
    assert len(lines) <= 24
    assert row(lines, "shop.touchpoints.v1") == ["shop.touchpoints.v1", "6", "1,500", "5", "500"]
    assert all(row(lines, name) for name in ("job", "topic", "re-merged", "messages", "rejected"))


def test_a_wide_screen_has_its_tables_side_by_side() -> None:
    assert any("topic" in line and "job" in line for line in drawn(busy(), 160))
    assert len(drawn(busy(), 160)) < len(drawn(busy(), 80))


def test_without_colour_and_without_unicode_it_reads_the_same() -> None:
    assert "\x1b[1;36mreading" in colours({})
    assert "\x1b[1mreading" in colours({"NO_COLOR": "1"})
    buffer = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    Console(file=buffer, width=80, _environ={}).print(StatusView(busy(), NOW))
    buffer.seek(0)
    assert "84,321 messages/s  | =@| the last 15 s" in buffer.read()


def colours(environment: dict[str, str]) -> str:
    console = screen(80, color_system="standard", _environ=environment)
    console.print(StatusView(busy(), NOW))
    return written(console)


def test_text_that_came_from_data_has_no_power_over_the_screen() -> None:
    rejected = RejectedStatus(stream="orders", stage="decode", reason="[red]\x1b[2J", messages=1, pending=0, last_at=NOW)
    text = "\n".join(drawn(busy().model_copy(update={"rejected": (rejected,), "message": "\x1b[2J[bold]broker"}), 160))
    assert "[red]\\x1b[2J" in text
    assert "\\x1b[2J[bold]broker" in text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"taken_at": ago(seconds=30)}, "this was so 30 s ago: the worker is busy with one commit, or stands still"),
        ({"state": SourceState.UNAVAILABLE, "message": "broker away", "not_ready": ("broker away",)}, "broker away"),
    ],
)
def test_what_is_wrong_is_said_once_and_first(change: dict[str, Any], said: str) -> None:
    lines = drawn(busy().model_copy(update=change), 80)
    assert lines[1] == said
    assert "\n".join(lines).count(said) == 1


def test_a_lag_that_grows_is_not_said_to_end() -> None:
    rates = busy().rates
    assert rates is not None
    growing = rates.model_copy(update={"offset_lag_per_second": 500.0, "catch_up_seconds": None})
    assert "offset lag  3,000, not shrinking: +500/s" in drawn(busy().model_copy(update={"rates": growing}), 80)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Of a file that is there, and that nobody holds."""
    found = Settings(store=StoreSettings(path=tmp_path / "shop.duckdb"))
    open_database(found, NOW).close()
    return found


def answering(settings: Settings, status: Status) -> AdminServer:
    """A worker, as far as one sees of it from outside."""

    def no_cursor() -> Any:
        raise AssertionError("a status is not read from the file")

    return AdminServer(settings.admin_socket, reading_operations(no_cursor, lambda: status, Limits.of(Serve())))


def test_a_worker_that_goes_away_is_still_told_of_and_is_seen_when_it_comes_back(settings: Settings) -> None:
    watcher = Watcher(settings)
    with answering(settings, busy()):
        assert watcher.look(NOW) == Look(NOW, busy())
    with closing(open_database(settings, NOW)):  # the next worker has the file for itself: watching does not open it
        gone = watcher.look(ago(seconds=-1))
        assert gone.notice == "no worker answers; trying again. This is what the worker said at 2026-03-07 12:00:00 UTC"
        assert (gone.status.state, gone.status.rates, gone.status.days) == (SourceState.STOPPED, None, busy().days)
        with answering(settings, busy()):
            assert watcher.look(NOW).notice == ""


def test_where_no_worker_was_the_file_is_read_once(settings: Settings) -> None:
    watcher = Watcher(settings)
    assert watcher.look(NOW).notice.endswith("This is what the file said at 2026-03-07 12:00:00 UTC")
    settings.store.path.unlink()
    assert watcher.look(ago(minutes=-1)).status.file == watcher.look(NOW).status.file


def test_the_first_look_must_find_something(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no file"):
        Watcher(Settings(store=StoreSettings(path=tmp_path / "none.duckdb"))).look(NOW)


def test_a_worker_of_another_version_is_told_as_such(settings: Settings) -> None:
    with (
        AdminServer(settings.admin_socket, {"status": lambda _: {"partitions": [{"topic": "orders"}]}}),
        pytest.raises(StoreError, match="of another version"),
    ):
        Watcher(settings).look(NOW)


def interrupted(looks: list[Look]) -> Iterator[Look]:
    yield from looks
    raise KeyboardInterrupt


def test_watching_draws_over_itself_and_leaves_the_last_look_behind() -> None:
    console = screen(80)
    second = busy().model_copy(update={"state": SourceState.CAUGHT_UP})
    with pytest.raises(KeyboardInterrupt):
        draw_looks(interrupted([Look(NOW, busy()), Look(NOW, second, "gone")]), console)
    text = written(console)
    frames, left = text.split("\x1b[?1049l")
    assert frames.count("\x1b[H") == 3  # one as the screen is taken, one a look
    assert "\x1b[2J" not in frames  # nothing is wiped: no flicker
    assert frames.rindex("\x1b[?25h") > frames.rindex("\x1b[?25l")
    assert [line.strip() for line in left.splitlines()[:2]] == [
        "caught up  shop.duckdb                                   2026-03-07 12:00:00 UTC",
        "gone",
    ]


def test_there_must_be_a_screen_to_draw_on() -> None:
    for console in (screen(80, force_terminal=False), screen(80, _environ={"TERM": "dumb"})):
        with pytest.raises(ConfigError, match="draws on a terminal"):
            draw_looks(iter([Look(NOW, busy())]), console)


@pytest.mark.usefixtures("logging_as_it_was")
def test_for_programs_it_is_a_line_of_json_a_look(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pauses = iter([None, None])

    def pause(_seconds: float) -> None:
        if next(pauses, KeyboardInterrupt) is KeyboardInterrupt:
            raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", pause)
    with pytest.raises(SystemExit) as ended:
        cli.main(["--set", f"store.path={settings.store.path}", "status", "--watch", "--json"])
    assert ended.value.code == ExitCode.OK
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["state"], line["notice"].partition(";")[0]) for line in lines] == [("stopped", "no worker answers")] * 3


def test_a_program_that_has_read_enough_ends_it(settings: Settings) -> None:
    arguments = command("status", "--watch", "--json", path=settings.store.path)
    with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert json.loads(process.stdout.readline())["state"] == "stopped"
        process.stdout.close()
        assert (process.stderr.read(), process.wait(PATIENCE)) == (b"", ExitCode.UNREAD)


def test_ctrl_c_ends_watching_with_0_and_gives_the_terminal_back(settings: Settings) -> None:
    arguments = command("status", "--watch", path=settings.store.path)
    process, terminal = pty.fork()
    if process == 0:  # the child: from here on it is the command
        os.chdir(ROOT)
        os.environ["TERM"] = "xterm"
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # who tests in the background has it ignored
        os.execv(arguments[0], arguments)
    said = _read_until(terminal, b"no worker answers")
    os.write(terminal, b"\x03")
    said += _read_until(terminal, None)
    _, code = os.waitpid(process, 0)
    assert (os.waitstatus_to_exitcode(code), b"Traceback" in said) == (ExitCode.OK, False)
    assert said.rindex(b"\x1b[?25h") > said.rindex(b"\x1b[?25l")
    assert said.rindex(b"\x1b[?1049l") > said.rindex(b"\x1b[?1049h")


def _read_until(terminal: int, word: bytes | None) -> bytes:
    """What comes from the terminal until the word, or until the process has ended."""
    said, deadline = b"", time.monotonic() + PATIENCE
    while word is None or word not in said:
        assert time.monotonic() < deadline, said
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            piece = os.read(terminal, 65536)
        except OSError:  # on Linux: nobody is at the other end any more
            piece = b""
        if not piece:
            return said
        said += piece
    return said


def test_sigterm_ends_watching_as_ctrl_c_does(monkeypatch: pytest.MonkeyPatch) -> None:
    with until_interrupted():
        signal.raise_signal(signal.SIGTERM)
    assert signal.getsignal(signal.SIGTERM) is not signal.default_int_handler
