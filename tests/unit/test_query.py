"""One SELECT and nothing else: what is read, what is refused, and that no way leads out of the file."""

import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from worker.config import Store
from worker.errors import ExitCode, StoreError
from worker.serve.query import Limits, QueryError, run_query
from worker.serve.rows import plain_rows, write_csv, write_json
from worker.store.reader import open_reader

LIMITS = Limits(seconds=60, rows=1_000)
HUGE = 2**100


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table schema_migration (name varchar, applied_at timestamp)")
        connection.execute("create table daily_sales as select date '2026-03-01' + i::int as day, i * $huge::hugeint as net_cents "
                           "from range(3) r(i)", {"huge": HUGE})  # fmt: skip
    return path


@pytest.fixture
def connection(file: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_reader(file, Store(memory_limit="100MB"), of_any_age=True) as connection:
        yield connection


def rows(connection: duckdb.DuckDBPyConnection, sql: str, limits: Limits = LIMITS) -> list[list[object]]:
    return list(plain_rows(run_query(connection, sql, limits)))


@pytest.mark.parametrize(
    "sql",
    [
        "select count(*) from daily_sales",
        "select count(*) from daily_sales; -- and no more",
        "from daily_sales select count(*)",
        "with d as (select * from daily_sales) select count(*) from d",
        "values (3)",
        "select count(*) from range(3)",
        "select 1 + count(*) from (describe daily_sales), unnest([1])",
    ],
)
def test_whatever_reads_is_answered(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    assert rows(connection, sql) == [[3]]


def test_the_file_explains_itself(connection: duckdb.DuckDBPyConnection) -> None:
    assert rows(connection, "show tables") == [["daily_sales"], ["schema_migration"]]
    assert [row[:2] for row in rows(connection, "describe daily_sales")] == [["day", "DATE"], ["net_cents", "HUGEINT"]]
    assert [row[0] for row in rows(connection, "summarize daily_sales")] == ["day", "net_cents"]


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("", "0 statements"),
        ("select 1; select 2", "2 statements"),
        ("delete from daily_sales", "kind DELETE"),
        ("create table x (a int)", "kind CREATE"),
        ("set memory_limit = '1TB'", "kind SET"),
        ("pragma disable_optimizer", "kind PRAGMA"),
        ("attach ':memory:' as x", "kind ATTACH"),
        ("copy daily_sales to 'x.csv'", "kind COPY"),
        ("explain analyze delete from daily_sales", "kind EXPLAIN"),
        ("call force_checkpoint()", "kind CALL"),
        ("with d as (delete from daily_sales returning *) select * from d", "read-only"),
        ("select * from force_checkpoint()", "force_checkpoint: not allowed"),
        ('select (select count(*) from "Force_Checkpoint"())', "force_checkpoint: not allowed"),
        ("select * from query('delete from daily_sales')", "query: not allowed"),
        ("select * from read_text('tidemark.toml')", "read_text: not allowed"),
        ("select * from destroy_external_resource('force_checkpoint', 'x')", "destroy_external_resource: not allowed"),
        ("select * from 'tidemark.toml'", "does not exist"),
        ("select * from secret_table", "does not exist"),
        ("sel 1", "syntax error"),
    ],
)
def test_all_else_is_refused(connection: duckdb.DuckDBPyConnection, sql: str, reason: str) -> None:
    secret_table = pa.table({"password": ["x"]})  # a Python variable is not a table
    with pytest.raises(QueryError, match=reason) as caught:
        run_query(connection, sql, LIMITS)
    assert caught.value.exit_code is ExitCode.USAGE
    assert secret_table.num_rows == 1


def test_an_error_shows_its_place_in_the_sql(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(QueryError) as caught:
        run_query(connection, "select\n  net_cent\nfrom daily_sales", LIMITS)
    assert caught.value.message.endswith("LINE 2:   net_cent\n          ^^^^^^^^")
    assert 'Candidate bindings: "net_cents"' in caught.value.message
    with pytest.raises(QueryError) as caught:
        run_query(connection, "select no(1)", LIMITS)
    assert caught.value.message.endswith("LINE 1: select no(1)\n               ^^^^^")


def test_a_worker_that_writes_is_not_written_to_nor_blocked(tmp_path: Path) -> None:
    connection = duckdb.connect(str(tmp_path / "a.duckdb"))
    connection.execute("create table t (a int)")
    for setting in ("global python_enable_replacements = false", "enable_external_access = false", "lock_configuration = true"):
        connection.execute(f"set {setting}")
    connection.execute("begin")
    connection.execute("insert into t values (1)")
    other = connection.cursor()
    assert rows(other, "select count(*) from t") == [[0]]
    with pytest.raises(QueryError, match="read-only"):
        run_query(other, "with d as (insert into t values (2) returning a) select * from d", LIMITS)
    connection.execute("commit")
    assert rows(other, "select a from t") == [[1]]


def test_an_instance_that_is_not_locked_down_is_never_queried() -> None:
    with duckdb.connect() as connection, pytest.raises(RuntimeError, match="locked down"):
        run_query(connection, "select 1", LIMITS)


def test_a_query_ends_when_its_time_is_over(connection: duckdb.DuckDBPyConnection) -> None:
    endless = "select count(*) from range(1000000) a, range(1000000) b, range(1000000) c where a.range + b.range * c.range = 7"
    with pytest.raises(QueryError, match=r"longer than 0\.2 s"):
        run_query(connection, endless, Limits(seconds=0.2, rows=1))
    assert [thread for thread in threading.enumerate() if thread.name == "query-time-limit"] == []


def test_a_result_beyond_the_limits_is_an_error_not_a_part_of_it(connection: duckdb.DuckDBPyConnection) -> None:
    assert len(rows(connection, "from range(1000)")) == 1_000
    with pytest.raises(QueryError, match="more than 1,000 rows"):
        run_query(connection, "from range(1000000000)", LIMITS)
    with pytest.raises(QueryError, match="larger than 1 MiB"):
        run_query(connection, "select repeat('x', 10000) from range(900)", Limits(60, 1_000, 1024 * 1024))


def test_a_query_that_needs_too_much_memory_fails_alone(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(QueryError, match="more memory than there is"):
        run_query(connection, "select list(range) from range(100000000)", LIMITS)
    assert rows(connection, "select 1") == [[1]]


VALUES = f"""select {HUGE}::hugeint as money, -5::hugeint as minus, 1.50::decimal(9, 2) as rate, 0.1::double as ratio, 'nan'::double as nan,
    true as yes, date '2026-03-01' as day, timestamp '2026-03-01 10:00:00' as at, timestamp_ns '2026-03-01 10:00:00.123456789' as ns,
    time '10:00' as hour, 'ff000000-0000-0000-0000-000000000001'::uuid as id, 'a'::blob as bytes, [{{'n': 7::hugeint}}] as items,
    map {{'k': null}} as pairs, interval '1 month 2 days 1.5 seconds' as span, null as nothing"""
PLAIN = [
    HUGE, -5, "1.50", 0.1, "nan", True, "2026-03-01", "2026-03-01T10:00:00", "2026-03-01 10:00:00.123456789", "10:00:00",
    "ff000000-0000-0000-0000-000000000001", "61", [{"n": 7}], [["k", None]], "P1M2DT1.500000000S", None,
]  # fmt: skip


def test_values_are_plain_and_exact(connection: duckdb.DuckDBPyConnection) -> None:
    assert rows(connection, VALUES) == [PLAIN]


def test_a_type_without_a_plain_form_names_the_cast(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(QueryError, match=r"column b is a bit.*\nCast it: b::varchar"):
        rows(connection, "select '101'::bit as b")


def test_rows_as_json_lines_and_as_csv(connection: duckdb.DuckDBPyConnection) -> None:
    table = run_query(connection, "select day, net_cents, [1] as list, null as nothing, true as yes from daily_sales limit 2", LIMITS)
    as_json, as_csv = io.StringIO(), io.StringIO()
    write_json(table, as_json)
    write_csv(table, as_csv)
    first, second = (json.loads(line) for line in as_json.getvalue().splitlines())
    assert first == {"day": "2026-03-01", "net_cents": 0, "list": [1], "nothing": None, "yes": True}
    assert second["net_cents"] == HUGE
    assert as_csv.getvalue() == f"day,net_cents,list,nothing,yes\n2026-03-01,0,[1],,true\n2026-03-02,{HUGE},[1],,true\n"


def test_a_file_that_cannot_be_read_says_why(tmp_path: Path, file: Path) -> None:
    with pytest.raises(StoreError, match="there is no file"):
        open_reader(tmp_path / "none.duckdb", Store())
    (tmp_path / "junk.duckdb").write_bytes(b"junk" * 5_000)
    with pytest.raises(StoreError, match="not a valid DuckDB database file"):
        open_reader(tmp_path / "junk.duckdb", Store())
    duckdb.connect(str(tmp_path / "other.duckdb")).close()
    with pytest.raises(StoreError, match=r"not one of tidemark's"):
        open_reader(tmp_path / "other.duckdb", Store())
    with duckdb.connect(str(file)) as connection:
        connection.execute("insert into schema_migration values ('9999_from_the_future', timestamp '2030-01-01')")
    with pytest.raises(StoreError, match="newer tidemark: it has 9999_from_the_future"):
        open_reader(file, Store())
