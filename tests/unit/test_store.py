"""The file: how it comes into being, who may open it, and that a commit is all or nothing."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest

from tests.simulation.faults import FaultyConnection
from tests.support.commands import ROOT, tidemark
from tests.support.endless import run_endless
from tests.support.worker import Worker, customer, moment, order, product, tombstone, touch
from worker import config
from worker.config import Settings
from worker.errors import ConfigError, ExitCode, PositionConflict, StoreError, Unavailable
from worker.resources import sql_dir
from worker.source import UNKNOWN, Identity
from worker.store import Store
from worker.store.database import transaction, with_all_cores
from worker.store.sql import statements
from worker.tables import TABLES
from worker.verify import verify

SQL_FILES = sorted(path.relative_to(sql_dir()).with_suffix("").as_posix() for path in sql_dir().rglob("*.sql"))
NO_TABLES = dict.fromkeys(TABLES, False)


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(tmp_path)
    yield worker
    worker.close()


@pytest.fixture
def closed(worker: Worker) -> Worker:
    """One that has ended."""
    worker.close()
    return worker


def contents(worker: Worker) -> dict[str, list[tuple[Any, ...]]]:
    """All that the file holds, by table."""
    names = [name for (name,) in worker.query("select table_name from duckdb_tables() where not temporary")]
    return {name: worker.query(f"from {name} order by all") for name in names if name not in {"schema_migration"}}


# Creation


def test_a_kill_while_the_file_is_created_leaves_none_or_a_whole_one(tmp_path: Path, seed: int) -> None:
    subprocess.run([sys.executable, "-m", "tests.support.creation", tmp_path, str(seed), "10"], cwd=ROOT, check=True, timeout=120)
    assert (tmp_path / "whole.duckdb").exists()
    assert not list(tmp_path.glob("whole.duckdb.*"))
    left = sorted(path.name for path in tmp_path.iterdir())
    print(left)
    for path in tmp_path.glob("*.duckdb"):
        with duckdb.connect(str(path)) as connection:
            assert connection.execute("select commit_id from progress").fetchall() == [(0,)]
            assert connection.execute("select count(*) from file_setting").fetchone() == (5,)


def test_what_a_killed_creation_left_does_not_block_the_next(tmp_path: Path, worker: Worker) -> None:
    path = worker.settings.store.path
    worker.close()
    path.rename(tmp_path / f"{path.name}.1.creating")
    Store(worker.settings, worker.now).close()
    assert path.exists()


def test_a_file_is_never_put_in_the_place_of_one_that_came_meanwhile(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    worker.feed(touch("c1", "2026-03-05"))
    worker.close()
    monkeypatch.setattr(Path, "exists", lambda self: False)
    with pytest.raises(StoreError, match="another worker has just created"):
        Store(worker.settings, worker.now)
    monkeypatch.undo()
    worker.reopen()
    assert len(worker.rows("touchpoint")) == 1


def test_a_directory_that_is_not_there_is_told(tmp_path: Path, closed: Worker) -> None:
    with pytest.raises(StoreError, match=r"locks/none.duckdb.* can't be"):
        closed.reopen(store={"path": tmp_path / "locks" / "none.duckdb"})


# Opening


def test_a_second_worker_is_refused_while_the_first_one_works_on(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-05"))
    second = tidemark("run", path=worker.settings.store.path, kafka__bootstrap_servers="127.0.0.1:1")
    assert second.returncode == ExitCode.STORE
    assert "is held by another process" in second.stderr
    assert "One worker per file" in second.stderr
    worker.feed(touch("c1", "2026-03-05"))
    assert len(worker.rows("touchpoint")) == 2


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"time": {"reporting_time_zone": "Europe/Berlin"}}, "reporting_time_zone UTC, the configuration says Europe/Berlin"),
        ({"reporting_currency": "EUR"}, "reporting_currency USD, the configuration says EUR"),
    ],
)
def test_another_time_zone_or_currency_is_refused(worker: Worker, changed: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        worker.reopen(**changed)


def test_a_file_of_a_newer_version_is_refused(worker: Worker) -> None:
    worker.tamper("insert into schema_migration values ('9999_of_the_future', timestamp '2030-01-01')")
    with pytest.raises(StoreError, match="newer tidemark: it has 9999_of_the_future"):
        worker.reopen()


def test_a_file_of_another_program_is_refused_and_left_alone(tmp_path: Path, closed: Worker) -> None:
    for name, make in {"other": "create table t (a int)", "bare": "select 1"}.items():
        path = tmp_path / f"{name}.duckdb"
        with duckdb.connect(str(path)) as connection:
            connection.execute(make)
        with pytest.raises(StoreError, match="not one of tidemark's"):
            closed.reopen(store={"path": path})
        with duckdb.connect(str(path)) as connection:
            assert connection.execute("select count(*) from duckdb_tables() where table_name <> 't'").fetchone() == (0,)


def test_garbage_is_refused(tmp_path: Path, closed: Worker) -> None:
    for name, content in {"garbage": b"no database at all" * 1000, "short": b"x"}.items():
        path = tmp_path / f"{name}.duckdb"
        path.write_bytes(content)
        with pytest.raises(StoreError, match="can't be opened"):
            closed.reopen(store={"path": path})
        assert path.read_bytes() == content


def test_an_empty_file_is_refused(tmp_path: Path, closed: Worker) -> None:
    (tmp_path / "empty.duckdb").touch()
    with pytest.raises(StoreError, match="can't be opened"):
        closed.reopen(store={"path": tmp_path / "empty.duckdb"})


@pytest.mark.parametrize(("cores", "memory", "threads"), [(2, "512MB", 2), (64, "512MB", 4), (64, "4GB", 32), (1, "100MB", 1)])
def test_who_has_the_file_alone_takes_all_cores_that_memory_is_enough_for(
    cores: int, memory: str, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: cores)
    assert with_all_cores(config.Store(memory_limit=memory)).threads == threads


def test_migrations_are_run_once(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-05"))
    before = worker.rows("schema_migration"), contents(worker)
    worker.now = worker.now.replace(year=2027)
    worker.reopen()
    assert (worker.rows("schema_migration"), contents(worker)) == before


def test_definitions_of_another_version_are_replaced_and_the_same_are_not_written_again(worker: Worker) -> None:
    views = "select view_name, view_oid, sql from duckdb_views() where schema_name = 'definition' order by all"
    before = worker.query(views)
    worker.reopen()
    assert worker.query(views) == before
    worker.tamper("create or replace view definition.daily_sales as select 1 as a")
    worker.tamper("create or replace view definition.fingerprint as select 'of another version' as sha256")
    worker.reopen()
    assert [(name, sql) for name, _, sql in worker.query(views)] == [(name, sql) for name, _, sql in before]


# SQL


@pytest.mark.parametrize("name", SQL_FILES)
def test_a_file_of_sql_has_statements(name: str) -> None:
    with duckdb.connect() as connection:
        assert statements(connection, name)


def test_every_statement_of_a_commit_runs_in_one(worker: Worker) -> None:
    """Each with bound parameters: a day that is closed, late events of every kind, garbage, and events of sealed days."""
    worker.reopen(retention={"days": 2})
    first = worker.feed(
        touch("c1", "2026-03-01"), touch("c1", "2026-03-05"), product("p1", "2026-03-05", stock_level=1), close="2026-03-05"
    )
    late = worker.feed(
        *(touch("c1", "2026-03-05", event_id="e1"), touch("c1", "2026-03-05", event_id="e1"), touch("c1", "2026-03-01")),
        *(
            order("o1", "2026-03-05"),
            order("o1", "2026-03-05", updated="2026-03-06"),
            tombstone("orders", "o1", "2026-03-06"),
            touch(None, "2026-03-05", session_id=""),
        ),
        *(customer("c1", "2026-03-05"), tombstone("customers", "c1", "2026-03-06"), tombstone("products", "p1", "2026-03-06")),
        product("p1", "2026-03-06"),
    )
    ran = first.seconds.keys() | late.seconds.keys()
    read = {"batch/touchpoint_ids", "state/read_progress", "state/read_position", "state/read_newest_event", "state/saved"}
    read |= {"state/pending", "state/sent"}  # the outbox's own
    read |= {"state/all_dirty"}  # of rebuilds, switches and repairs
    of_jobs = ("state/job", "state/rejected_", "state/expired_", "state/resolved", "state/unresolved")
    read |= {name for name in SQL_FILES if name.startswith(of_jobs)}
    assert {name for name in SQL_FILES if name.startswith(("daily/", "batch/", "state/"))} - read == ran - read


# Switches


def test_tables_switched_off_are_emptied_and_on_again_are_what_they_would_have_been(worker: Worker) -> None:
    messages = [touch("c1", "2026-03-05"), order("o1", "2026-03-05"), product("p1", "2026-03-05", stock_level=3)]
    worker.feed(*messages)
    full = {name: worker.rows(name) for name in TABLES}
    worker.reopen(tables=NO_TABLES)
    assert {name: worker.rows(name) for name in TABLES} == {name: [] for name in TABLES}
    worker.feed(touch("c2", "2026-03-06"), order("o2", "2026-03-06", customer_id="c2"))
    worker.reopen(tables={})
    assert worker.differences() == []
    assert all(set(rows) <= set(worker.rows(name)) for name, rows in full.items())
    assert worker.rows("daily_users", "day", "new_customers") == [("2026-03-05", 1), ("2026-03-06", 1)]


def test_rows_of_sealed_days_outlive_a_switch(worker: Worker) -> None:
    worker.reopen(retention={"days": 2})
    worker.feed(touch("c1", "2026-03-01"), order("o1", "2026-03-01"), touch("c1", "2026-03-05"), close="2026-03-05")
    before = {name: worker.rows(name) for name in TABLES}
    worker.reopen(tables=NO_TABLES, retention={})  # with retention, customer_first may not be off
    assert worker.rows("daily_users", "day", "new_customers") == [("2026-03-01", 1)]
    worker.reopen(tables={})
    assert {name: worker.rows(name) for name in TABLES} == before
    assert worker.differences() == []


# Commits


def test_a_statement_that_fails_takes_the_whole_commit_back_and_the_batch_may_be_offered_again(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-05"), order("o1", "2026-03-05"))
    before = contents(worker)
    again = [
        touch("c2", "2026-03-05", event_id="twice"),
        touch("c1", "2026-03-05", event_id="twice"),
        tombstone("orders", "o1", "2026-03-06"),
    ]
    worker.log.put(again)
    worker.now = moment("2026-03-06")
    batch = worker.pipeline.decode(worker.pipeline.poll(), worker.now)
    connection = worker.store._connection
    for statement in range(2, 45, 10):
        faulty = FaultyConnection(connection, statement, None, worker.settings.store.path, is_done=False)
        worker.store._connection = faulty  # type: ignore[assignment]
        with pytest.raises(StoreError, match="No space left"):
            worker.pipeline.step(batch, worker.now, 0.0)
        worker.store._connection = connection
        assert contents(worker) == before
    worker.pipeline.step(batch, worker.now, 0.0)
    assert worker.accounting("touchpoints") == {"read": 3, "accepted": 2, "duplicate": 1, "conflicting_duplicates": 1}
    assert worker.rows("daily_users", "active_customers", "buyers") == [(2, 0)]
    assert worker.differences() == []


class _Dead:
    """A connection to a file that DuckDB has given up, from the n-th statement on: whatever is asked of it fails."""

    def __init__(self, connection: duckdb.DuckDBPyConnection, statements: int) -> None:
        self._connection = connection
        self._statements = statements

    def execute(self, query: Any, parameters: Any = None) -> Any:
        self._live()
        self._connection.execute(query, parameters)
        return self

    def register(self, name: str, rows: Any) -> None:
        self._live()
        self._connection.register(name, rows)

    def __getattr__(self, name: str) -> Any:
        self._live()
        return getattr(self._connection, name)

    def _live(self) -> None:
        self._statements -= 1
        if self._statements == 0:
            raise duckdb.FatalException("No space left on device (simulated)")
        if self._statements < 0:
            raise duckdb.FatalException("the database has been invalidated because of a previous fatal error")


@pytest.mark.parametrize("statement", range(2, 60, 6))
def test_of_a_file_that_duckdb_has_given_up_one_is_told_why(worker: Worker, statement: int) -> None:
    worker.log.put([touch("c1", "2026-03-05", event_id="twice"), touch("c2", "2026-03-05", event_id="twice"), order("o1", "2026-03-05")])
    worker.now = moment("2026-03-06")
    batch = worker.pipeline.decode(worker.pipeline.poll(), worker.now)
    connection = worker.store._connection
    worker.store._connection = _Dead(connection, statement)  # type: ignore[assignment]
    with pytest.raises(StoreError, match="No space left"):
        worker.pipeline.step(batch, worker.now, 0.0)
    worker.store._connection = connection


def test_a_commit_that_fails_says_why() -> None:
    """Its transaction is over then, so that nothing is left to roll back."""
    connection = duckdb.connect()
    connection.execute("create table once (number integer primary key)")
    insert = "insert into once values (1)"

    def commit_what_another_did() -> None:
        with transaction(connection):
            connection.execute(insert)
            connection.cursor().execute(insert)

    with pytest.raises(duckdb.TransactionException, match="duplicate key"):
        commit_what_another_did()


def test_a_rejected_message_is_kept_once_however_often_it_is_read(worker: Worker) -> None:
    worker.log.put([replace(touch("c1", "2026-03-05"), value_bytes=value) for value in (b"garbage", None)])
    worker.now = moment("2026-03-06")
    batch = worker.pipeline.decode(worker.pipeline.poll(), worker.now)
    for _ in range(3):
        worker.pipeline.step(batch, worker.now, 0.0)
    assert worker.rows("rejected", '"offset"', "reason") == [(0, "bad_frame"), (1, "null_value")]


@pytest.mark.parametrize("tampering", ["update position set next_offset = 99 where topic = 'orders'", "update progress set commit_id = 99"])
def test_another_writer_is_noticed(worker: Worker, tampering: str) -> None:
    worker.feed(touch("c1", "2026-03-05"), order("o1", "2026-03-05"))
    worker.tamper(tampering)
    with pytest.raises(PositionConflict, match="Another writer was there"):
        worker.feed(touch("c1", "2026-03-05"))


def test_a_crash_loses_nothing_that_was_committed(worker: Worker) -> None:
    worker.feed(touch("c1", "2026-03-05"), order("o1", "2026-03-05"))
    before, state = contents(worker), worker.pipeline.state
    worker.crash()
    assert contents(worker) == before
    assert worker.pipeline.state == state
    worker.feed(touch("c1", "2026-03-05"))
    assert worker.differences() == []


# Limits


def test_too_little_memory_is_told_with_its_setting(worker: Worker) -> None:
    worker.reopen(store={"memory_limit": "8MB"})
    with pytest.raises(StoreError, match=r"ran out of memory(.|\n)*Raise store.memory_limit"):
        worker.feed(*(touch(f"c{number}", "2026-03-05") for number in range(20_000)))
    assert worker.rows("touchpoint") == []


FULL_DISK = """
import resource, sys
from pathlib import Path
from tests.support.worker import Worker, touch
from worker.errors import StoreError
worker = Worker(Path(sys.argv[1]), store={"checkpoint_threshold": sys.argv[2]})
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
try:
    for _ in range(200):
        worker.feed(*(touch(f"c{n}", "2026-03-05") for n in range(1000)))
except StoreError as error:
    print(worker.pipeline.state.commit_id, error)
"""


@pytest.mark.parametrize("checkpoint_threshold", ["1GB", "300KB"], ids=["the log", "the file"])
def test_a_full_disk_stops_the_worker_with_nothing_half_done(tmp_path: Path, checkpoint_threshold: str) -> None:
    """The limit on a file's size stands in for a full disk: it hits the write-ahead log, or the file at a checkpoint."""
    arguments = [str(tmp_path), checkpoint_threshold, "1800000"]
    ended = subprocess.run([sys.executable, "-c", FULL_DISK, *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=200)
    commits, told = ended.stdout.split(maxsplit=1)
    assert "can't be written" in told
    assert "Nothing of the batch was committed" in told
    settings = Settings.model_validate({"store": {"path": tmp_path / "worker.duckdb"}})
    with closing(Store(settings, datetime(2026, 3, 5, tzinfo=UTC))) as store, store.cursor() as connection:
        assert store.state().commit_id == int(commits)
        assert connection.execute("select count(*) from touchpoint").fetchone() == (1000 * int(commits),)
        assert [result for result in verify(connection, settings.tables_on) if not result.agrees] == []


def test_a_disk_too_full_for_a_new_file_leaves_none(tmp_path: Path) -> None:
    program = """
import resource, sys
from datetime import UTC, datetime
from worker.config import Settings
from worker.errors import StoreError
from worker.source import UNKNOWN, Identity
from worker.store import Store
from worker.store.database import transaction, with_all_cores
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    Store(Settings.model_validate({"store": {"path": sys.argv[1]}}), datetime(2026, 3, 5, tzinfo=UTC))
except StoreError as error:
    print(error)
"""
    for limit in (100, 50_000, 300_000):
        arguments = [sys.executable, "-c", program, str(tmp_path / "new.duckdb"), str(limit)]
        ended = subprocess.run(arguments, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)
        assert "can't be" in ended.stdout, limit
        assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("rows", "is_freed"), [(20_000, True), (10, False)])
def test_what_a_large_commit_computed_on_the_way_is_freed_before_the_next(worker: Worker, rows: int, is_freed: bool) -> None:
    """Replaced table by table, it would stay until the next commit's end: twice the memory. Small ones are not worth the time."""
    store, temporary = worker.store, "select count(*) from duckdb_tables() where temporary"
    with store.transaction(datetime(2026, 3, 1, tzinfo=UTC), "live", {}, Identity(UNKNOWN)) as tx:
        tx.stage("touched", pa.record_batch({"number": pa.array(range(rows))}))
        store._connection.execute("create temp table left_behind as from touched")
    with store.transaction(datetime(2026, 3, 2, tzinfo=UTC), "live", {}, Identity(UNKNOWN)):
        assert store._connection.execute(temporary).fetchall() == [(0 if is_freed else 1,)]


# Its end


def test_what_others_read_when_the_file_is_closed_is_interrupted(worker: Worker) -> None:
    store = worker.store
    busy, idle, begun = store.cursor(), store.cursor(), threading.Event()
    with ThreadPoolExecutor() as threads:
        reading = threads.submit(run_endless, busy, begun)
        assert begun.wait(60)
        store.close()
        with pytest.raises(duckdb.InterruptException):
            reading.result()
    for cursor in (busy, idle):
        with pytest.raises(duckdb.ConnectionException, match="closed"):
            cursor.execute("select 1")
    with pytest.raises(Unavailable, match="the worker stops"):
        store.cursor()
