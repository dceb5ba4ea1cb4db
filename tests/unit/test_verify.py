"""verify finds whatever is not as a batch computation over the accepted rows would have it."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import duckdb
import pytest

from tests.support.commands import tidemark
from tests.support.messages import Produced
from tests.support.worker import Worker, customer, line, order, product, tombstone, touch
from worker import cli
from worker.errors import ExitCode
from worker.store.retention import SEALED_TABLES
from worker.tables import TABLES
from worker.verify import TableResult, verify

pytestmark = pytest.mark.usefixtures("logging_as_it_was")

CHANGED = {"VARCHAR": "coalesce({0}, '') || '!'", "DATE": "coalesce({0} + 1, date '2026-03-01')", "TIMESTAMP": "{0} + interval 1 second"}


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Worker]:
    """The 5th is sealed, the 9th and 10th are closed, later days open; every table has rows of them."""
    worker = Worker(tmp_path_factory.mktemp("verify"), retention={"days": 3})
    worker.feed(*_of("2026-03-05"), *_of("2026-03-09"), *_of("2026-03-10"), close="2026-03-11")
    visitor = [touch("c9", "2026-03-12"), order("o9", "2026-03-12", customer_id="c9"), customer("c1", "2026-03-12")]
    worker.feed(*_of("2026-03-12"), *visitor, tombstone("orders", "gone", "2026-03-12"))
    yield worker
    worker.close()


def _of(day: str) -> list[Produced]:
    touches = [touch(f"c{n % 2}", day, product_id="p1", cost_cents=5, channel=("email", "paid")[n % 2]) for n in range(4)]
    return [*touches, order(f"o{day}", day, items=[line(category="shirts")]), order("gone", day), product("p1", day, stock_level=3)]


@pytest.fixture
def connection(file: Worker) -> Iterator[duckdb.DuckDBPyConnection]:
    """Whatever is done through it is undone."""
    with file.store.cursor() as cursor:
        cursor.execute("begin")
        yield cursor
        cursor.execute("rollback")


def wrong(connection: duckdb.DuckDBPyConnection, *tables: str, first: date | None = None, last: date | None = None) -> list[TableResult]:
    return [result for result in verify(connection, frozenset(tables or TABLES), first, last) if not result.agrees]


def some_row(table: str) -> str:
    """A row of a day that is not sealed."""
    key = "customer_id" if table == "customer_first" else "day"
    return f"rowid = (select max_by(rowid, {key}) from {table})"


def test_untouched_tables_agree_and_all_of_them_have_rows(connection: duckdb.DuckDBPyConnection) -> None:
    results = list(verify(connection, frozenset(TABLES)))
    assert [result.table for result in results if not result.agrees] == []
    assert [result.table for result in results if result.table in TABLES and not result.rows] == []
    assert {result.table for result in results if result.sealed_days} == set(SEALED_TABLES)


@pytest.mark.parametrize("place", range(17))
def test_a_changed_cell_is_found_in_every_column(connection: duckdb.DuckDBPyConnection, place: int) -> None:
    """All tables at once, each in the column at that place."""
    columns = connection.execute(
        "select table_name, column_name, data_type from duckdb_columns() where schema_name = 'main' and column_index = $1 + 1", [place]
    )
    changed = {table: (column, kind) for table, column, kind in columns.fetchall() if table in TABLES}
    for table, (column, kind) in changed.items():
        connection.execute(f"update {table} set {column} = {CHANGED.get(kind, '{0} + 1').format(column)} where {some_row(table)}")
    assert changed.keys() <= {result.table for result in wrong(connection)}
    assert changed or place == 16


@pytest.mark.parametrize("table", TABLES)
def test_a_missing_row_is_found(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    connection.execute(f"delete from {table} where {some_row(table)}")
    (result,) = wrong(connection, table)
    assert (result.differences, [example.found for example in result.examples]) == (1, [False])


@pytest.mark.parametrize("table", TABLES)
def test_a_duplicate_row_is_found(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    connection.execute(f"insert into {table} from {table} where {some_row(table)}")
    (result,) = wrong(connection, table)
    assert (result.differences, [example.found for example in result.examples]) == (1, [True])


@pytest.mark.parametrize("table", TABLES)
def test_an_extra_row_is_found_though_nothing_happened_on_its_day(connection: duckdb.DuckDBPyConnection, table: str) -> None:
    other = "customer_id || '!' as customer_id" if table == "customer_first" else "date '2035-01-01' as day"
    connection.execute(f"insert into {table} select * replace ({other}) from {table} where {some_row(table)}")
    (result,) = wrong(connection, table)
    assert (result.differences, [example.found for example in result.examples]) == (1, [True])


@pytest.mark.parametrize("table", SEALED_TABLES)
@pytest.mark.parametrize(
    ("tampering", "day"),
    [
        ("delete from {0} where day = '2026-03-05'", date(2026, 3, 5)),
        ("insert into {0} from {0} where day = '2026-03-05'", date(2026, 3, 5)),
        ("insert into {0} select * replace (date '2026-03-01' as day) from {0} where day = '2026-03-05'", date(2026, 3, 1)),
    ],
    ids=["missing", "duplicate", "extra"],
)
def test_a_changed_sealed_day_is_found(connection: duckdb.DuckDBPyConnection, table: str, tampering: str, day: date) -> None:
    connection.execute(tampering.format(table))
    (result,) = wrong(connection, table)
    assert (result.differences, result.wrong_sealed_days) == (0, [day])


def test_stock_is_compared_on_sealed_days_too(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("update daily_stock set stock_last = 99 where day = '2026-03-05'")
    (result,) = wrong(connection, "daily_stock")
    assert result.differences == 2


@pytest.mark.parametrize(
    ("audit", "tampering"),
    [
        ("touchpoint_key", "insert into touchpoint by name select * exclude (event_id) from touchpoint where day = '2026-03-09'"),
        ("order_key", "insert into order_current from order_current where day = '2026-03-09'"),
        ("order_counted", "update order_current set counted = not counted where day = '2026-03-09'"),
        ("accounting_balance", "update accounting set accepted = accepted + 1 where stream = 'orders'"),
    ],
)
def test_accepted_rows_that_contradict_themselves_are_found(connection: duckdb.DuckDBPyConnection, audit: str, tampering: str) -> None:
    connection.execute(tampering)
    assert f"audits/{audit}" in [result.table for result in wrong(connection)]


def test_only_the_days_asked_for_are_compared(connection: duckdb.DuckDBPyConnection) -> None:
    connection.execute("update daily_reach set touchpoints = touchpoints + 1 where day in ('2026-03-05', '2026-03-09')")
    assert wrong(connection, "daily_reach", first=date(2026, 3, 10), last=date(2026, 3, 31)) == []
    (ninth,) = wrong(connection, "daily_reach", first=date(2026, 3, 9), last=date(2026, 3, 9))
    assert (ninth.differences > 0, ninth.wrong_sealed_days) == (True, [])
    (fifth,) = wrong(connection, "daily_reach", first=date(2026, 3, 1), last=date(2026, 3, 8))
    assert (fifth.differences, fifth.wrong_sealed_days) == (0, [date(2026, 3, 5)])


def test_a_repair_fills_every_table_anew_and_leaves_sealed_days_as_they_are(tmp_path: Path) -> None:
    worker = Worker(tmp_path, retention={"days": 3})
    worker.feed(*_of("2026-03-05"), *_of("2026-03-09"), close="2026-03-11")
    before = {table: worker.rows(table) for table in TABLES}
    for table in TABLES:
        worker.tamper(f"insert into {table} from {table} where {some_row(table)}")
    worker.tamper("update daily_reach set touchpoints = touchpoints + 1 where day = '2026-03-05'")
    with worker.store.cursor() as connection:
        results = {result.table: result for result in verify(connection, frozenset(TABLES), repair=True)}
    assert {table for table in TABLES if results[table].repaired} == set(TABLES)
    assert results["daily_reach"].wrong_sealed_days == [date(2026, 3, 5)]
    assert {table: rows for table, rows in before.items() if worker.rows(table) != rows}.keys() == {"daily_reach"}
    (left,) = worker.differences()
    assert (left.table, left.differences, left.wrong_sealed_days) == ("daily_reach", 0, [date(2026, 3, 5)])
    worker.close()


def test_the_command_says_what_differs_by_its_exit_code_and_repairs_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    worker = Worker(tmp_path)
    worker.feed(*_of("2026-03-05"), *_of("2026-03-06"))
    worker.tamper("update daily_reach set customers = 99 where day = '2026-03-05'")
    worker.close()
    path = worker.settings.store.path

    found = tidemark("verify", "--json", path=path)
    assert found.returncode == ExitCode.DIFFERENCES
    assert [row["table"] for row in map(json.loads, found.stdout.splitlines()) if not row["agrees"]] == ["daily_reach"]
    assert "tidemark verify --repair" in found.stderr
    assert ended("--set", f"store.path={path}", "verify", "--days", "2026-03-06..2026-03-31") == ExitCode.OK
    assert ended("--set", f"store.path={path}", "verify", "--repair") == ExitCode.DIFFERENCES
    capsys.readouterr()
    assert ended("--set", f"store.path={path}", "verify") == ExitCode.OK
    assert "17 of 17 tables agree" in capsys.readouterr().out


@pytest.mark.parametrize("options", [(), ("--repair",)])
def test_a_file_that_is_not_there_is_not_made_by_verify(
    tmp_path: Path, options: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "missing.duckdb"
    assert ended("--set", f"store.path={missing}", "verify", *options) == ExitCode.STORE
    assert "there is no file" in capsys.readouterr().err
    assert not missing.exists()


def ended(*arguments: str) -> int:
    """The command's exit code, in this process."""
    with pytest.raises(SystemExit) as exited:
        cli.main(arguments)
    return int(exited.value.code or 0)


def test_an_order_on_two_days_is_odd_but_no_difference(connection: duckdb.DuckDBPyConnection) -> None:
    (found,) = [result for result in verify(connection, frozenset(TABLES)) if result.table == "audits/order_on_two_days"]
    assert [(example.row["order_id"], example.row["days"]) for example in found.examples] == [("gone", 3)]
    assert found.agrees
