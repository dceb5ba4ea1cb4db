"""The commands as a person or a script runs them: what they print, and the exit code."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from tests.support.commands import ROOT, command
from tests.support.shell import Shell
from worker import __version__
from worker.config import Serve, Settings
from worker.config import Store as StoreSettings
from worker.config.reference import reference
from worker.errors import ExitCode
from worker.metrics import SourceState
from worker.serve.admin import AdminServer
from worker.serve.operations import reading_operations
from worker.serve.query import Limits
from worker.serve.status import Status, StatusBoard
from worker.store.database import cursor, open_database

pytestmark = pytest.mark.usefixtures("logging_as_it_was")

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
SECRET = "correct horse battery"


@pytest.fixture
def tidemark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    monkeypatch.chdir(tmp_path)
    return Shell(capsys)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file as a worker left it."""
    path = tmp_path / "tidemark.duckdb"
    now = {"now": NOW.replace(tzinfo=None)}
    with closing(open_database(Settings(store=StoreSettings(path=path)), NOW)) as connection:
        connection.execute("insert into hourly_sales values (date '2026-03-01', 9, 'USD', 2, 1990)")
        connection.execute("insert into hourly_sales values (date '2026-03-01', 10, '[red]\x1b[2J', 1, 5)")
        connection.execute("insert into position values ('orders', 0, 'unknown', 90, null)")
        connection.execute("insert into accounting values ('live', 'orders', 5, 3, 1, 0, 1, 0, 0)")
        connection.execute("insert into day_state values (date '2026-03-01', false, false, 1, null, $now)", now)
        connection.execute("insert into day_state values (date '2026-03-02', true, false, null, null, $now)", now)
        connection.execute("update progress set watermark = timestamp '2026-03-02 11:55:00', committed_at = $now", now)
    return path


@pytest.fixture
def worker(file: Path) -> Iterator[StatusBoard]:
    """A process that holds the file and answers at its admin socket."""
    board = StatusBoard()
    settings = Settings(store=StoreSettings(path=file))
    with closing(open_database(settings, NOW)) as connection:
        operations = reading_operations(partial(cursor, connection), board.status, Limits.of(Serve()))
        with AdminServer(settings.admin_socket, operations):
            yield board


def test_the_version_is_printed(tidemark: Shell) -> None:
    assert tidemark("--version") == (0, f"tidemark {__version__}\n", "")


def test_a_worker_that_starts_imports_no_other_command() -> None:
    run = "import sys, typer, worker.cli; typer.main.get_command(worker.cli.app).get_command(None, 'run'); print(*sys.modules)"
    modules = subprocess.run([sys.executable, "-c", run], capture_output=True, text=True, check=True).stdout.split()
    commands = {"worker.approaches", "worker.demo", "worker.doctor", "worker.commands.marts", "worker.commands.status"}
    assert "worker.commands.run" in modules
    assert commands.isdisjoint(modules)


def test_a_wrong_command_line_is_code_2(tidemark: Shell) -> None:
    assert tidemark("dance").code == ExitCode.USAGE
    assert tidemark("--set", "store.path", "status").err.startswith("tidemark: --set store.path: there is no =")


def test_an_unexpected_error_is_code_1_with_a_traceback_without_secrets(tidemark: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError(SECRET)

    monkeypatch.setenv("TIDEMARK_KAFKA__SECRETS__SASL_PASSWORD", SECRET)
    monkeypatch.setattr("worker.commands.status.current_status", fail)
    ended = tidemark("status")
    assert (ended.code, ended.out) == (ExitCode.UNEXPECTED, "")
    assert ended.err.startswith("Traceback")
    assert ended.err.endswith("ZeroDivisionError: **********\n")


def test_config_show_tells_values_and_origins_but_no_secret(tidemark: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tidemark.toml").write_text('[store]\npath = "shop.duckdb"\n')
    monkeypatch.setenv("TIDEMARK_REGISTRY__TOKEN", SECRET)
    table, lines = tidemark("config", "show"), tidemark("--set", "log.level=debug", "config", "show", "--json")
    assert SECRET not in table.out + lines.out
    rows = {row.pop("key"): row for row in lines.lines()}
    assert rows["store.path"] == {"value": "shop.duckdb", "origin": "file", "place": "tidemark.toml"}
    assert rows["registry.token"] == {"value": "**********", "origin": "environment", "place": "TIDEMARK_REGISTRY__TOKEN"}
    assert rows["log.level"] == {"value": "debug", "origin": "flag", "place": "flag"}
    assert [line.split() for line in table.out.splitlines() if "store.path" in line] == [["store.path", "shop.duckdb", "tidemark.toml"]]


def test_config_validate_lists_all_faults_with_code_2(tidemark: Shell, tmp_path: Path) -> None:
    assert tidemark("config", "validate") == (0, "The configuration is valid (all defaults).\n", "")
    (tmp_path / "a.toml").write_text('[store]\npat = "x"\n[kafka.secret_files]\n"sasl.password" = "none"\n')
    ended = tidemark("--config", "a.toml", "config", "validate")
    assert ended.code == ExitCode.USAGE
    assert ended.err.splitlines()[:3] == [
        "tidemark: 2 faults in the configuration:",
        '  a.toml: store.pat: there is no such setting; did you mean "store.path"?',
        "  a.toml: kafka.secret_files.sasl.password: none can't be read: No such file or directory",
    ]


@pytest.mark.parametrize(
    ("setting", "told"),
    [("kafka.options.no-such-option=1", "no-such-option"), ("store.path=no/such/directory/x.duckdb", "there is no directory")],
)
def test_config_validate_finds_what_only_this_machine_or_librdkafka_knows(tidemark: Shell, setting: str, told: str) -> None:
    code, _, err = tidemark("--set", setting, "config", "validate")
    assert (code, told in err) == (ExitCode.USAGE, True)


def test_a_loss_can_be_accepted_only_for_a_topic_that_is_read(tidemark: Shell) -> None:
    code, _, err = tidemark("run", "--accept-replaced-topic", "oders")
    assert (code, "no stream is read from oders" in err, "orders, touchpoints" in err) == (ExitCode.USAGE, True, True)


def test_the_page_of_all_settings_is_written(tidemark: Shell) -> None:
    assert tidemark("config", "docs").out == reference()


def test_a_file_alone_is_queried(tidemark: Shell, file: Path) -> None:
    sql = "select hour, currency, net_cents from hourly_sales order by hour"
    assert tidemark("query", sql, "--json").lines()[0] == {"hour": 9, "currency": "USD", "net_cents": 1990}
    assert tidemark("query", sql, "--csv").out.splitlines()[:2] == ["hour,currency,net_cents", "9,USD,1990"]
    table = tidemark("query", sql).out
    assert ["9", "USD", "1990"] in [line.split() for line in table.splitlines()]
    assert "[red]\\x1b[2J" in table  # neither rich's markup nor the terminal's


def test_of_many_rows_a_table_shows_some_and_says_how_many_more_there_are(tidemark: Shell, file: Path) -> None:
    code, out, err = tidemark("--set", f"store.path={file}", "query", "select * from range(1500)")
    assert (code, len(out.splitlines())) == (0, 1 + 500)
    assert "1,000 more rows: --json and --csv print all." in err


def test_a_query_may_come_from_standard_input(tidemark: Shell, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("select 1 as one"))
    assert tidemark("query", "-", "--json").lines() == [{"one": 1}]


def test_beside_a_running_worker_the_worker_answers(tidemark: Shell, worker: StatusBoard) -> None:
    assert tidemark("query", "select sum(net_cents) as net_cents from hourly_sales", "--json").lines() == [{"net_cents": 1995}]
    ended = tidemark("query", "drop table hourly_sales")
    assert (ended.code, ended.err.splitlines()[0]) == (ExitCode.USAGE, "tidemark: this is a statement of kind DROP, not a SELECT")
    ended = tidemark("query", "select nothing")
    assert (ended.code, "LINE 1: select nothing" in ended.err) == (ExitCode.USAGE, True)


def test_the_status_of_a_running_worker_is_its_snapshot(tidemark: Shell, worker: StatusBoard) -> None:
    snapshot = Status(state=SourceState.UNAVAILABLE, not_ready=("the broker is away",), message="broker 127.0.0.1:9092")
    worker.publish(snapshot)
    assert tidemark("status", "--json").lines() == [snapshot.as_json()]
    assert "the broker is away" in tidemark("status").out


def test_the_status_of_a_file_alone_is_read_from_it(tidemark: Shell, file: Path) -> None:
    (status,) = tidemark("status", "--json").lines()
    assert (status["state"], status["watermark"], status["last_commit_at"]) == ("stopped", "2026-03-02T11:55:00Z", "2026-03-03T12:00:00Z")
    assert status["days"] == {"open": 1, "closed": 1, "sealed": 0, "first": "2026-03-01", "last": "2026-03-02"}
    assert status["partitions"] == [{"topic": "orders", "partition": 0, "next_offset": 90, "log_end_offset": None, "offset_lag": None}]
    assert [row["read"] for row in status["accounting"]] == [5]
    table = tidemark("status").out
    assert "1 open, 1 closed, 0 sealed; 2026-03-01 to 2026-03-02" in table
    assert "the last at 2026-03-03 12:00:00 UTC, " in table


def test_no_file_and_no_worker_is_code_4_with_the_way_out(tidemark: Shell) -> None:
    for asked in (["status"], ["query", "select 1"]):
        ended = tidemark(*asked)
        assert (ended.code, ended.out) == (ExitCode.STORE, "")
        assert ended.err == (
            "tidemark: there is no file tidemark.duckdb\nName it: --set store.path=FILE, or store.path in the configuration.\n"
        )


LONG = "select 7 as number, repeat('beans and ', 50) as text, date '2026-03-01' as day"
MANY = "select " + ", ".join(f"'value {n}' as column_{n}" for n in range(12)) + ", null as nothing"


def at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of 80 columns, without colours."""
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TERM", "dumb")


def test_on_a_terminal_a_long_text_is_folded_beside_the_other_columns(tidemark: Shell, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    at_a_terminal(monkeypatch)
    lines = tidemark("query", LONG).out.splitlines()
    assert max(map(len, lines)) <= 80
    assert [line.split() for line in lines[:2]] == [["number", "text", "day"], ["7", *lines[1].split()[1:-1], "2026-03-01"]]
    assert " ".join(lines[1:]).split().count("beans") == 50


def test_on_a_terminal_rows_of_too_many_columns_are_written_a_value_a_line(
    tidemark: Shell, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    at_a_terminal(monkeypatch)
    lines = tidemark("query", f"{MANY} from range(2)").out.splitlines()
    assert lines[:2] == ["row 1", "column_0   value 0"]
    assert (lines[13], lines[14], lines[15]) == ("nothing", "", "row 2")


@pytest.mark.parametrize("sql", [LONG, MANY])
def test_what_is_piped_is_a_line_a_row_however_wide(tidemark: Shell, file: Path, monkeypatch: pytest.MonkeyPatch, sql: str) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert len(tidemark("query", sql).out.splitlines()) == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["query", "from hourly_sales"],
        ["query", "from hourly_sales", "--csv"],
        ["query", "from range(100000)", "--json"],
        ["status"],
        ["config", "show"],
        ["marts", "docs"],
        ["--help"],
    ],
    ids=" ".join,
)
def test_a_command_whose_output_nobody_reads_any_more_ends_without_a_word(file: Path, arguments: list[str]) -> None:
    """As after `| head`, however much it had to say."""
    reader, writer = os.pipe()
    os.close(reader)
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    ended = subprocess.run(
        command(*arguments, path=file), cwd=ROOT, env=buffered, stdout=writer, stderr=subprocess.PIPE, text=True, check=False
    )
    os.close(writer)
    assert (ended.returncode, ended.stderr) == (ExitCode.UNREAD, "")


def test_a_command_whose_output_is_closed_beforehand_does_its_work(file: Path) -> None:
    closed = ["sh", "-c", 'exec "$@" >&-', "sh", *command("status", path=file)]
    ended = subprocess.run(closed, cwd=ROOT, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (ExitCode.OK, "")


@pytest.mark.parametrize("words", ["marts describe customer_overview", "marts list", "status"])
def test_tables_that_are_piped_have_no_blanks_at_their_ends(tidemark: Shell, file: Path, words: str) -> None:
    lines = tidemark("--set", f"store.path={file}", *words.split()).out.splitlines()
    assert lines
    assert [line for line in lines if line != line.rstrip()] == []


def test_rows_that_are_piped_are_not_folded(tidemark: Shell) -> None:
    assert max(map(len, tidemark("marts", "describe", "customer_overview").out.splitlines())) > 120
