"""An own mart whose file is wrong: told with its line before a worker reads it, reported of that mart, and nobody else is held up."""

from contextlib import closing
from pathlib import Path

import pytest

from tests.support.findings import gathered
from tests.support.shell import Shell
from tests.support.worker import Worker, order
from worker.config import Marts, Settings
from worker.doctor.configuration import mart_checks
from worker.doctor.findings import Level, ok
from worker.errors import ConfigError, ExitCode
from worker.marts.refresh import MartRun, Request, RunState
from worker.marts.runner import runner_of

pytestmark = pytest.mark.usefixtures("logging_as_it_was")

GOOD = """\
-- big_orders: orders over a limit.
-- grain: (order_id)   reads: counted_order
/*
[columns]
order_id = { about = "the order" }
*/
select order_id from counted_order where net_cents > 500
"""
BAD = GOOD.replace("big_orders", "small_orders").replace("about", "abut")


@pytest.fixture
def tidemark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Shell:
    """In a directory with a file that a worker left, a good own mart and a bad one."""
    monkeypatch.chdir(tmp_path)
    worker = Worker(tmp_path)
    worker.feed(order("o1", "2026-03-05"), close="2026-03-07")
    worker.close()
    (tmp_path / "marts").mkdir()
    (tmp_path / "marts" / "big_orders.sql").write_text(GOOD)
    (tmp_path / "marts" / "small_orders.sql").write_text(BAD)
    (tmp_path / "tidemark.toml").write_text('[store]\npath = "worker.duckdb"\n[marts]\ndirectory = "marts"\n')
    return Shell(capsys)


def test_config_validate_tells_all_that_is_wrong_with_file_and_line(tidemark: Shell) -> None:
    Path("marts/lost.sql").write_text(GOOD.replace("big_orders", "lost").replace("counted_order", "counted_oder"))
    Path("marts/upon.sql").write_text(GOOD.replace("big_orders", "upon").replace("counted_order", "small_orders"))
    Path("marts/syntax.sql").write_text(GOOD.replace("big_orders", "syntax").replace("where", "\nwher"))
    Path("marts/when.sql").write_text(GOOD.replace("big_orders", "when").replace("[columns]", 'schedule = "hourly"\n[columns]'))
    ended = tidemark("config", "validate")
    assert ended.code == ExitCode.USAGE
    *faults, remedy = ended.err.removeprefix("tidemark: ").splitlines()
    assert remedy.startswith("Mend these files")
    starts = [
        "marts/small_orders.sql:5: columns.order_id.about: ",
        "marts/syntax.sql:8: ",
        "marts/when.sql:4: ",
        "marts/lost.sql:2: it reads",
    ]
    assert [fault.startswith(start) for fault, start in zip((f for f in faults if f.startswith("marts/")), starts, strict=True)] == [
        True
    ] * 4
    assert 'did you mean "counted_order"' in ended.err


def test_config_validate_is_content_with_what_is_right(tidemark: Shell) -> None:
    Path("marts/small_orders.sql").write_text(BAD.replace("abut", "about"))
    assert tidemark("config", "validate").code == ExitCode.OK


def test_doctor_finds_the_same(tmp_path: Path) -> None:
    own = Marts(directory=tmp_path)
    (tmp_path / "big_orders.sql").write_text(GOOD)
    assert gathered(mart_checks(own))[0] == [ok("marts", f"nothing is wrong in 1 file of your own in {tmp_path}")]
    (tmp_path / "small_orders.sql").write_text(BAD)
    (tmp_path / "lost.sql").write_text(GOOD.replace("big_orders", "lost").replace("counted_order", "counted_oder"))
    findings, _ = gathered(mart_checks(own))
    places = [f"{tmp_path}/small_orders.sql:5: columns.order_id.about: ", f"{tmp_path}/lost.sql:2: it reads counted_oder"]
    assert [finding.found.startswith(place) for finding, place in zip(findings, places, strict=True)] == [True, True]
    assert {(finding.check, finding.level) for finding in findings} == {("marts", Level.PROBLEM)}
    assert findings[0].remedy.startswith("Mend the file")
    assert gathered(mart_checks(Marts()))[0] == []


def test_audit_and_export_do_all_else_and_then_say_which_mart_they_could_not(tidemark: Shell) -> None:
    assert tidemark("marts", "refresh", "big_orders").code == ExitCode.OK
    for command, done in (("audit",), "audited"), (("export", "out"), "exported"):
        ended = tidemark(*command)
        assert ended.code == ExitCode.FAILED
        assert ended.err.startswith(f"tidemark: 1 mart could not be {done}: small_orders\nmart small_orders: columns.order_id.about")
        assert "big_orders" in ended.out
    assert Path("out/big_orders").exists() or list(Path("out").glob("big_orders*"))


@pytest.mark.parametrize(
    "command", [("audit", "small_orders"), ("export", "out", "--tables", "small_orders"), ("marts", "refresh", "small_orders")]
)
def test_who_asks_for_that_mart_alone_is_told_what_is_wrong_with_it(tidemark: Shell, command: tuple[str, ...]) -> None:
    ended = tidemark(*command)
    assert (ended.code, ended.err.startswith("tidemark: mart small_orders: columns.order_id.about")) == (ExitCode.USAGE, True)


def test_who_asks_for_others_is_not_troubled(tidemark: Shell) -> None:
    assert tidemark("marts", "refresh", "big_orders").code == ExitCode.OK
    assert tidemark("audit", "big_orders").code == ExitCode.OK
    assert tidemark("marts", "describe", "big_orders").code == ExitCode.OK
    assert tidemark("export", "out", "--tables", "big_orders").code == ExitCode.OK


def test_the_list_has_it_as_faulty_and_it_can_not_be_dropped(tidemark: Shell) -> None:
    listed = {row["mart"]: row for row in tidemark("marts", "list", "--json").lines()}
    assert (listed["small_orders"]["state"], "Mend line 5" in listed["small_orders"]["message"]) == ("faulty", True)
    assert listed["big_orders"]["state"] == "never refreshed"
    assert tidemark("marts", "drop", "small_orders").code == ExitCode.USAGE


def test_it_is_not_advised_to_drop_it(tidemark: Shell) -> None:
    found = {row["mart"]: row for row in tidemark("marts", "advise", "--json").lines()}
    assert (found["small_orders"]["finding"], found["small_orders"]["remedy"].startswith("Mend line 5")) == ("failing", True)


def test_a_file_that_can_not_be_read_is_a_fault_too(tidemark: Shell) -> None:
    Path("marts/bytes.sql").write_bytes(GOOD.replace("big_orders", "bytes").encode() + b"-- \xff")
    Path("marts/like_it.sql").write_bytes(b'-- like_it: \xff\n/*\nlike = "top_customers"\n[parameters]\n*/\n')
    ended = tidemark("config", "validate")
    assert ("bytes.sql:1: it can't be read" in ended.err, "like_it.sql:1: it can't be read" in ended.err) == (True, True)


def test_a_running_worker_reports_it_once_as_failed_and_refreshes_the_others(tmp_path: Path) -> None:
    (tmp_path / "marts").mkdir()
    (tmp_path / "marts" / "small_orders.sql").write_text(BAD)
    worker = Worker(tmp_path)
    worker.feed(order("o1", "2026-03-05"), close="2026-03-07")
    settings = worker.settings.model_dump() | {"marts": {"directory": tmp_path / "marts"}}
    runs: list[MartRun] = []
    marts = runner_of(Settings.model_validate(settings), worker.store.cursor, lambda: worker.now, runs.append)
    marts.refresh_due(is_behind=lambda: len(runs) > 3)
    marts.refresh_due(is_behind=lambda: len(runs) > 4)
    failed = [run for run in runs if run.state is RunState.FAILED]
    assert [(run.mart, "Mend line 5" in run.message) for run in failed] == [("small_orders", True)]
    assert len(runs) > len(failed)
    assert worker.query("select mart, state, as_of from mart_run where state = 'failed'") == [("small_orders", "failed", None)]
    with pytest.raises(ConfigError, match="mart small_orders"):
        marts.plan(["small_orders"], None)
    with closing(worker.store.cursor()) as connection:
        assert connection.execute("select count(*) from mart_state").fetchone() != (0,)
    worker.close()


def test_a_mart_that_reads_a_faulty_one_says_so(tmp_path: Path) -> None:
    """Whether that one was ever refreshed or not."""
    small = tmp_path / "marts" / "small_orders.sql"
    small.parent.mkdir()
    small.with_stem("upon").write_text(GOOD.replace("big_orders", "upon").replace("counted_order", "small_orders"))
    worker = Worker(tmp_path)
    worker.feed(order("o1", "2026-03-05"), close="2026-03-07")
    settings = Settings.model_validate(worker.settings.model_dump() | {"marts": {"directory": small.parent}})

    def told() -> str:
        small.write_text(BAD)
        return runner_of(settings, worker.store.cursor, lambda: worker.now).refresh("upon", Request()).message

    assert told().startswith("mart upon reads small_orders, whose own file is wrong: mart small_orders: columns.order_id.about")
    small.write_text(BAD.replace("abut", "about"))
    assert runner_of(settings, worker.store.cursor, lambda: worker.now).refresh("small_orders", Request()).state is RunState.DONE
    assert "whose own file is wrong" in told()
    worker.close()
