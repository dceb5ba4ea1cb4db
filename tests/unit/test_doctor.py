"""`tidemark doctor` as a person or a script runs it; and that it only looks."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest

from tests.support.fake_registry import FakeRegistry, fake_registry
from tests.support.findings import gathered, levels
from tests.support.messages import WRITERS, Produced, framed, touchpoint
from tests.support.mock_broker import mock_broker
from tests.support.produce import send
from tests.support.shell import Shell
from worker import log
from worker.config import Log, Serve, Settings
from worker.config import Store as StoreSettings
from worker.doctor.findings import Checks, Finding, Level, ok, within
from worker.errors import ExitCode, Unavailable
from worker.metrics import SourceState
from worker.serve.admin import AdminServer
from worker.serve.operations import reading_operations
from worker.serve.query import Limits
from worker.serve.status import Status, StatusBoard
from worker.store.database import cursor, open_database

pytestmark = pytest.mark.usefixtures("logging_as_it_was")

NOW = datetime(2026, 3, 3, 12, tzinfo=UTC)
SECRET = "correct horse battery"
ALL_CHECKS = {
    *("versions", "time zones", "open files", "configuration", "settings", "directory", "file system", "disk", "leftovers", "file", "http"),
    *("admin socket", "registry", "schema", "schema rule", "broker", "topic", "topic log", "rejected", "position", "messages", "clock"),
}


@pytest.fixture
def registry() -> Iterator[FakeRegistry]:
    with fake_registry() as server:
        server.register("touchpoints-value", WRITERS[3], 3)
        yield server


@pytest.fixture
def tidemark(
    tmp_path: Path, registry: FakeRegistry, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Shell]:
    """In a directory with a configuration of which all is there: a broker with messages, a registry with their schema."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    with mock_broker() as bootstrap:
        message = Produced("touchpoints", framed(3, touchpoint(occurred_at=datetime.now(UTC))), timestamp_ms=int(time.time() * 1000))
        send(bootstrap, [message])
        kafka = f'[kafka]\nbootstrap_servers = "{bootstrap}"\ntopics = {{touchpoints = "touchpoints"}}\n'
        Path("tidemark.toml").write_text(f'{kafka}[registry]\nurl = "{registry.url}"\n[serve]\nport = 0\n')
        yield Shell(capsys)


def problems(lines: list[dict[str, str]]) -> list[str]:
    return [line["check"] for line in lines if line["level"] == Level.PROBLEM]


def test_before_the_first_start_nothing_is_a_problem_and_nothing_is_made(tidemark: Shell, registry: FakeRegistry, tmp_path: Path) -> None:
    code, out, err = tidemark("doctor")
    assert (code, err) == (ExitCode.OK, "")
    assert "tidemark.duckdb is not there yet: the first start makes it" in out
    assert "id 3, named by 1 message of touchpoints: read in columns" in out
    assert out.splitlines()[-1].endswith("warnings.") or out.splitlines()[-1].endswith("warning.")  # the mock cluster is one
    assert [path.name for path in tmp_path.iterdir()] == ["tidemark.toml"]
    assert {each.split()[0] for each in registry.asked} == {"GET"}


def test_every_check_is_made(tidemark: Shell) -> None:
    lines = tidemark("doctor", "--json").lines()
    assert {line["check"] for line in lines} >= ALL_CHECKS
    assert all(set(line) == {"check", "level", "found", "remedy"} for line in lines)
    assert all(line["remedy"] for line in lines if line["level"] in ("warning", "problem"))


def test_every_check_is_in_the_operators_guide(tidemark: Shell) -> None:
    guide = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
    assert not [line["check"] for line in tidemark("doctor", "--json").lines() if f"`{line['check']}`" not in guide]


def test_beside_a_running_worker_all_is_looked_at_too(tidemark: Shell) -> None:
    board = StatusBoard()
    board.publish(Status(state=SourceState.CAUGHT_UP, not_ready=()))
    settings = Settings(store=StoreSettings(path=Path("tidemark.duckdb")))
    with closing(open_database(settings, NOW)) as connection:
        operations = reading_operations(partial(cursor, connection), board.status, Limits.of(Serve()))
        with AdminServer(settings.admin_socket, operations):
            ended = tidemark("doctor")
    assert ended.code == ExitCode.OK
    assert "ok       worker           one runs: caught_up" in ended.out
    assert "held by the worker" in ended.out


def test_a_problem_is_code_5_and_named_at_the_end(tidemark: Shell) -> None:
    code, out, err = tidemark("--set", "kafka.bootstrap_servers=127.0.0.1:1", "--set", "registry.url=http://127.0.0.1:1", "doctor")
    assert code == ExitCode.DIFFERENCES
    assert err == "tidemark: there are problems: registry, broker\nWhat to do stands beside each of them.\n"
    assert "skipped  topic            the broker can't be asked" in out
    assert out.splitlines()[-1].endswith("2 problems.")


def test_a_wrong_configuration_is_a_problem_with_all_its_faults_and_the_machine_is_looked_at_all_the_same(tidemark: Shell) -> None:
    ended = tidemark("--set", "store.pat=x", "--set", "batch.max_messages=0", "doctor", "--json")
    assert (ended.code, problems(ended.lines())) == (ExitCode.DIFFERENCES, ["configuration"])
    (fault,) = [line for line in ended.lines() if line["level"] == Level.PROBLEM]
    assert 'did you mean "store.path"' in fault["found"]
    assert "batch.max_messages" in fault["found"]
    assert {"versions", "all else"} <= {line["check"] for line in ended.lines()}


def test_librdkafkas_refusal_of_an_option_is_a_problem_without_the_secret(tidemark: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TIDEMARK_KAFKA__SECRETS__SECURITY_PROTOCOL", SECRET)
    ended = tidemark("doctor")
    assert ended.code == ExitCode.DIFFERENCES
    assert "librdkafka refuses the configuration" in ended.out
    assert SECRET not in ended.out + ended.err


def test_a_file_that_is_not_ours_leaves_the_other_checks_be(tidemark: Shell) -> None:
    Path("tidemark.duckdb").write_text("something else")
    lines = tidemark("doctor", "--json").lines()
    assert problems(lines) == ["file"]
    assert {line["check"] for line in lines} >= ALL_CHECKS


@pytest.mark.parametrize("columns", [60, 80, 160])
def test_lines_fit_the_terminal_but_for_a_word_that_is_longer(tidemark: Shell, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    lines = tidemark("doctor").out.splitlines()
    assert not [line for line in lines if len(line) > min(columns, 140) and " " in line[26:].removeprefix("→ ").strip()]
    assert all(line[:9].strip() in ("", *Level) for line in lines[:-1])


def test_control_characters_reach_no_terminal(tidemark: Shell) -> None:
    assert "\x1b" not in tidemark("--set", "store.path=a\x1b[2J.duckdb", "doctor").out


# How checks are run


def the_checks(*steps: Callable[[], Finding]) -> Checks[str]:
    for step in steps:
        yield step()
    return "facts"


def test_findings_come_with_the_facts_of_their_checks() -> None:
    findings, facts = gathered(within(30, "a", the_checks(lambda: ok("a", "1"), lambda: ok("a", "2"))))
    assert ([finding.found for finding in findings], facts) == (["1", "2"], "facts")


def test_what_a_check_raises_is_a_problem_and_ends_it_alone() -> None:
    def away() -> Finding:
        raise Unavailable("the broker is away", "Wait.")

    def wrong() -> Finding:
        raise ZeroDivisionError("by zero")

    findings, facts = gathered(within(30, "a", the_checks(lambda: ok("a", "1"), away)))
    assert (findings[1], facts) == (Finding("a", Level.PROBLEM, "the broker is away", "Wait."), None)
    findings, _ = gathered(within(30, "a", the_checks(wrong)))
    assert findings[0].found == "the check failed: ZeroDivisionError: by zero"


def test_a_check_that_hangs_is_a_problem_and_is_not_waited_for() -> None:
    goes_on = threading.Event()

    def hangs() -> Finding:
        goes_on.wait(30)
        return ok("a", "2")

    findings, facts = gathered(within(0.05, "a", the_checks(lambda: ok("a", "1"), hangs)))
    goes_on.set()
    assert (levels(findings), facts) == ({"a": Level.PROBLEM}, None)
    assert findings[-1].found == "no answer within 0.05 s"


def test_no_finding_holds_a_secret() -> None:
    log.configure(Log(), [SECRET])
    (finding,), _ = gathered(within(30, "a", the_checks(lambda: Finding("a", Level.OK, f"x {SECRET}", f"y {SECRET}"))))
    assert SECRET not in json.dumps([finding.found, finding.remedy])
