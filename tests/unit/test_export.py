"""Export: what other programs read from the files is what the tables hold, all of one commit; it is there as a whole or not at all."""

import hashlib
import json
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from tests.support.copies import ended, filled, random_worker, serving
from tests.support.worker import Worker, touch
from worker.errors import ExitCode
from worker.serve import export, snapshot
from worker.serve.export import EXPORTED
from worker.tables import TABLES

pytestmark = pytest.mark.usefixtures("logging_as_it_was")

READ = {
    "parquet": "read_parquet('{}/*.parquet')",
    "csv": "read_csv('{}/*.csv', all_varchar = true, header = true, delim = ',', quote = '\"', escape = '\"', allow_quoted_nulls = false)",
}


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    worker = filled(tmp_path)
    yield worker
    worker.close()


@pytest.fixture
def closed(worker: Worker) -> Worker:
    worker.close()
    return worker


@pytest.fixture
def small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    """What lies in a table of millions of rows: days in several pieces, pieces of several days."""
    monkeypatch.setattr(snapshot, "_ROWS_AT_ONCE", 5)
    monkeypatch.setattr(snapshot, "_PIECE_ROWS", 3)


def of(worker: Worker) -> Path:
    return worker.settings.store.path


def exported(worker: Worker, directory: Path, *options: str) -> dict[str, Any]:
    """The manifest."""
    assert ended("export", str(directory), *options, path=of(worker)) == ExitCode.OK
    manifest: dict[str, Any] = json.loads((directory / "manifest.json").read_text())
    return manifest


def table_rows(worker: Worker, table: str) -> list[tuple[Any, ...]]:
    """As the table holds them, in order."""
    columns = "* exclude (event_uuid, event_text)" if table == "touchpoint" else "*"
    with duckdb.connect(str(of(worker)), read_only=True) as connection:
        return connection.execute(f"select {columns} from {table} order by all").fetchall()


# Read back


@pytest.mark.usefixtures("small_pieces")
@pytest.mark.parametrize("is_random", [False, True])
def test_parquet_files_hold_the_tables(tmp_path: Path, seed: int, is_random: bool) -> None:
    worker = any_worker(tmp_path, seed) if is_random else filled(tmp_path)
    worker.close()
    manifest = exported(worker, tmp_path / "out", "--tables", ",".join([*EXPORTED, "customer"]))
    for table, facts in manifest["tables"].items():
        expected = table_rows(worker, table)
        found = read_back(tmp_path / "out" / table, "parquet") if facts["files"] else []
        assert [tuple(map(plain, row)) for row in found] == [tuple(map(plain, row)) for row in expected], table


@pytest.mark.usefixtures("small_pieces")
def test_arrow_files_hold_the_tables(closed: Worker, tmp_path: Path) -> None:
    manifest = exported(closed, tmp_path / "out", "--format", "arrow")
    for table, facts in manifest["tables"].items():
        files = [tmp_path / "out" / file["path"] for file in facts["files"]]
        found = [row for file in files for row in pa.ipc.open_file(file).read_all().to_pylist()]
        expected = table_rows(closed, table)
        assert sorted(repr([*map(plain, row.values())]) for row in found) == sorted(repr([*map(plain, row)]) for row in expected), table


@pytest.mark.usefixtures("small_pieces")
def test_csv_files_hold_the_tables(tmp_path: Path, seed: int) -> None:
    worker = any_worker(tmp_path, seed)
    worker.close()
    exported(worker, tmp_path / "out", "--format", "csv", "--tables", "order_current,session_day,daily_sales,customer_first")
    for table in ("order_current", "session_day", "daily_sales", "customer_first"):
        items = "* replace (cast(to_json(items) as varchar) as items)" if table == "order_current" else "*"
        with duckdb.connect(str(of(worker)), read_only=True) as connection:
            expected = connection.execute(f"select {items} from {table} order by all").fetchall()
            connection.execute(f"create temp table found as select {items} from {table} limit 0")
            connection.execute(f"insert into found by name from {READ['csv'].format(tmp_path / 'out' / table)}")
            assert connection.execute("from found order by all").fetchall() == expected, table


def read_back(folder: Path, format: str, columns: str = "*") -> list[tuple[Any, ...]]:
    """By DuckDB, in order."""
    with duckdb.connect() as connection:
        return connection.execute(f"select {columns} from {READ[format].format(folder)} order by all").fetchall()


def any_worker(directory: Path, seed: int) -> Worker:
    worker, batches = random_worker(directory, seed)
    for batch in batches:
        worker.feed(*batch)
    return worker


def plain(value: Any) -> Any:
    """DuckDB's HUGEINT comes as int from the table and as a decimal from the file; a UUID as text."""
    return int(value) if isinstance(value, Decimal) else value


def test_a_file_holds_its_day_and_other_tools_need_no_options(closed: Worker, tmp_path: Path) -> None:
    exported(closed, tmp_path / "out")
    assert sorted(path.name for path in (tmp_path / "out" / "daily_reach").iterdir()) == [
        f"2026-03-{day}.parquet" for day in ("05", "09", "10", "12")
    ]
    ninth = pq.read_table(tmp_path / "out" / "daily_reach" / "2026-03-09.parquet")
    assert set(ninth["day"].to_pylist()) == {date(2026, 3, 9)}
    assert ds.dataset(tmp_path / "out" / "daily_reach").to_table().num_rows == len(table_rows(closed, "daily_reach"))


LAST_SEEN = """\
-- last_seen: when each customer ordered last.
-- grain: (%s)   reads: customer_facts
/*
[columns]
customer_id = { about = "the customer" }
day = { about = "of the last order; null: none" }
*/
select customer_id, last_order_day as day from customer_facts
"""


@pytest.mark.parametrize(
    ("grain", "files"), [("customer_id", ["last_seen"]), ("customer_id, day", ["2026-03-09", "2026-03-10", "last_seen"])], ids=str
)
@pytest.mark.parametrize("days", [(), ("--days", "2026-03-09")], ids=str)
def test_a_mart_is_split_by_days_only_where_they_are_of_its_grain(
    worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, grain: str, files: list[str], days: tuple[str, ...]
) -> None:
    """Else its `day` is a column as others, which may be null."""
    (tmp_path / "last_seen.sql").write_text(LAST_SEEN % grain)
    monkeypatch.setenv("TIDEMARK_MARTS__DIRECTORY", str(tmp_path))
    worker.tamper("create table last_seen (customer_id varchar, day date)")
    worker.tamper("insert into last_seen values ('c1', date '2026-03-09'), ('c2', date '2026-03-10'), ('c3', null), ('c4', null)")
    worker.close()
    manifest = exported(worker, tmp_path / "out", "--tables", "last_seen", *days)
    is_cut = bool(days) and "day" in grain
    assert [file["path"] for file in manifest["tables"]["last_seen"]["files"]] == [
        f"last_seen/{name}.parquet" for name in (files[:1] if is_cut else files)
    ]
    assert manifest["tables"]["last_seen"]["rows"] == (1 if is_cut else 4)


def test_a_day_that_is_no_date_splits_nothing(worker: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "last_seen.sql").write_text(LAST_SEEN % "customer_id, day")
    monkeypatch.setenv("TIDEMARK_MARTS__DIRECTORY", str(tmp_path))
    worker.tamper("create table last_seen as select 'c1' as customer_id, 'Monday' as day")
    worker.close()
    assert len(exported(worker, tmp_path / "out", "--tables", "last_seen")["tables"]["last_seen"]["files"]) == 1


def test_types_are_such_as_others_have(closed: Worker, tmp_path: Path) -> None:
    tables = exported(closed, tmp_path / "out")["tables"]
    kinds = {kind for facts in tables.values() for kind in facts["columns"].values()}
    items = next(kind for kind in kinds if kind.startswith("list"))
    assert kinds - {items} == {"date32[day]", "int8", "int32", "int64", "string", "timestamp[us]", "bool", "decimal128(38, 0)", "double"}
    assert "event_id" in tables["touchpoint"]["columns"]
    assert not {"event_uuid", "event_text"} & tables["touchpoint"]["columns"].keys()
    schema = pq.read_schema(tmp_path / "out" / "order_current" / "2026-03-09.parquet")
    assert (schema.field("counted").type, schema.field("items").type.value_type.field("unit_price_cents").type) == (pa.bool_(), pa.int64())


@pytest.mark.parametrize("amount", [10**38 - 1, -(10**38) + 1, 2**64, -1])
def test_sums_beyond_64_bits_come_out_exactly(worker: Worker, tmp_path: Path, amount: int) -> None:
    worker.tamper("update daily_sales set net_cents = $amount", amount=amount)
    worker.close()
    for format in READ:
        exported(worker, tmp_path / format, "--tables", "daily_sales", "--format", format)
        found = read_back(tmp_path / format / "daily_sales", format, "distinct cast(net_cents as decimal(38, 0))")
        assert found == [(Decimal(amount),)]


# The manifest


def test_the_manifest_says_what_is_there_and_as_of_when(worker: Worker, tmp_path: Path) -> None:
    with serving(worker):
        manifest = exported(worker, tmp_path / "out")
    assert list(manifest["tables"]) == [*EXPORTED, "funnel"]  # of marts those that are there
    files = {file["path"]: file for facts in manifest["tables"].values() for file in facts["files"]}
    found = {path.relative_to(tmp_path / "out").as_posix(): path for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found.keys() - {"manifest.json"} == files.keys()
    for name, file in files.items():
        content = found[name].read_bytes()
        assert (file["bytes"], file["sha256"]) == (len(content), hashlib.sha256(content).hexdigest())
        assert (file["rows"], file["day"] or "") == (pq.read_metadata(found[name]).num_rows, name.split("/")[1][:10] if file["day"] else "")
    ((commit_id, closed_before),) = worker.query("select commit_id, closed_before from progress")
    assert (manifest["commit_id"], manifest["closed_before"], manifest["watermark"][:10]) == (commit_id, closed_before, "2026-03-13")
    assert [tuple(day.values()) for day in manifest["days"]] == worker.rows("day_state", "day", "is_open", "is_sealed", "revision")


def test_only_the_days_and_tables_asked_for_are_written(closed: Worker, tmp_path: Path) -> None:
    asked = ("--days", "2026-03-09..2026-03-10", "--tables", "daily_reach, customer_first,customer")
    manifest = exported(closed, tmp_path / "out", *asked)
    assert sorted(file.relative_to(tmp_path / "out").as_posix() for file in (tmp_path / "out").rglob("*.parquet")) == [
        *("customer/customer.parquet", "customer_first/customer_first.parquet"),
        *("daily_reach/2026-03-09.parquet", "daily_reach/2026-03-10.parquet"),
    ]
    assert [day["day"] for day in manifest["days"]] == ["2026-03-09", "2026-03-10"]
    assert (manifest["first"], manifest["last"]) == ("2026-03-09", "2026-03-10")


def test_names_and_addresses_are_written_only_on_request(closed: Worker, tmp_path: Path) -> None:
    exported(closed, tmp_path / "out", "--format", "csv")
    assert not any(b"anna@shop.example" in path.read_bytes() for path in (tmp_path / "out").rglob("*.csv"))
    exported(closed, tmp_path / "customers", "--format", "csv", "--tables", "customer")
    assert any(b"anna@shop.example" in path.read_bytes() for path in (tmp_path / "customers").rglob("*.csv"))


def test_every_table_of_aggregates_is_exported() -> None:
    assert set(TABLES) <= set(EXPORTED)


def test_a_table_without_rows_has_no_day_and_without_days_an_empty_file(tmp_path: Path) -> None:
    worker = Worker(tmp_path)
    worker.close()
    manifest = exported(worker, tmp_path / "out", "--tables", "daily_reach,customer_first")
    assert manifest["tables"]["daily_reach"]["files"] == []
    assert pq.read_table(tmp_path / "out" / "customer_first").num_rows == 0
    assert pq.read_schema(tmp_path / "out" / "customer_first" / "customer_first.parquet").names[0] == "customer_id"


# Whole, or not there


def test_what_is_there_is_replaced_only_when_asked_and_only_an_export(
    closed: Worker, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "manifest.json").write_text("{}")
    for options in ((), ("--replace",)):
        assert ended("export", str(tmp_path / "mine"), *options, path=of(closed)) == ExitCode.STORE
    assert "is no export of tidemark" in capsys.readouterr().err
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["manifest.json"]

    exported(closed, tmp_path / "out", "--tables", "daily_sales")
    assert ended("export", str(tmp_path / "out"), path=of(closed)) == ExitCode.STORE
    assert "replaced with --replace" in capsys.readouterr().err
    (tmp_path / "linked").symlink_to("out")
    exported(closed, tmp_path / "linked", "--tables", "daily_reach", "--replace")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["daily_reach", "manifest.json"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["linked", "mine", "out", of(closed).name]


def test_a_failure_leaves_the_earlier_export(closed: Worker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    earlier = exported(closed, tmp_path / "out", "--tables", "daily_sales")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(export, "write_manifest", full)
    monkeypatch.setattr("worker.commands.export.write_manifest", full)
    assert ended("export", str(tmp_path / "out"), "--replace", path=of(closed)) == ExitCode.STORE
    assert ended("export", str(tmp_path / "new"), path=of(closed)) == ExitCode.STORE
    assert json.loads((tmp_path / "out" / "manifest.json").read_text()) == earlier
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", of(closed).name]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--tables", "daily_sales,rejected"), "'rejected' can't be exported\nThere are accounting_history, active_day"),
        (("--tables", ""), "'' can't be exported"),
        (("--days", "march"), "--days march: not a range of days"),
    ],
)
def test_what_cannot_be_exported_is_said(
    closed: Worker, tmp_path: Path, options: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended("export", str(tmp_path / "out"), *options, path=of(closed)) == ExitCode.USAGE
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_the_worker_goes_on_beside_an_export(worker: Worker, tmp_path: Path) -> None:
    before = len(worker.rows("touchpoint"))
    with serving(worker):
        exported(worker, tmp_path / "out")
        worker.feed(touch("c1", "2026-03-12"))
        manifest = exported(worker, tmp_path / "out", "--replace")
    assert manifest["tables"]["touchpoint"]["rows"] == before + 1 == len(worker.rows("touchpoint"))
