"""Pseudonyms: a copy that names no person, and whose tables agree as the original's do."""

import hashlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.support.copies import UUID, contents_of, ended, filled, random_worker
from tests.support.marts import Marts, mart
from tests.support.worker import Worker, touch
from worker.errors import ExitCode
from worker.serve.pseudonyms import EMPTIED, expression, key_of
from worker.serve.snapshot import Wanted, take_snapshot
from worker.tables import TABLES

pytestmark = pytest.mark.usefixtures("logging_as_it_was")

PERSONAL = ("anna", "berta", "late-comer", "Ampère", "nobody@", "order-2026", "order-gone", "session of")


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    worker = filled(tmp_path)
    yield worker
    worker.close()


@pytest.fixture
def closed(tmp_path: Path) -> Worker:
    """One that has ended."""
    worker = filled(tmp_path)
    worker.close()
    return worker


def of(worker: Worker) -> Path:
    return worker.settings.store.path


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    path = tmp_path / "key"
    path.write_text("a secret of staging\n")
    return path


def pseudonym(text: str) -> str:
    """As docs/operations.md says it is made."""
    key = hashlib.sha256(b"tidemark pseudonyms" + b"a secret of staging").digest()
    return hashlib.sha256(key + text.encode()).hexdigest()[:32]


def pseudonymised(worker: Worker, path: Path, *options: str) -> dict[str, list[tuple[Any, ...]]]:
    assert ended("backup", str(path), "--pseudonymise", *options, path=of(worker)) == ExitCode.OK
    return contents_of(path)


def test_no_person_is_named_in_a_pseudonymised_copy(closed: Worker, tmp_path: Path) -> None:
    before = repr(contents_of(of(closed)))
    assert [name for name in PERSONAL if name not in before] == []
    after = pseudonymised(closed, tmp_path / "staging.duckdb")
    assert [name for name in PERSONAL if name in repr(after)] == []
    assert [name for name in ("rejected", "expired", "position", "newest_event") if after[name]] == []
    raw = (tmp_path / "staging.duckdb").read_bytes()
    assert [name for name in PERSONAL if name.encode() in raw] == []


def test_an_id_has_one_pseudonym_wherever_it_stands(closed: Worker, tmp_path: Path, key_file: Path) -> None:
    pseudonymised(closed, tmp_path / "staging.duckdb", "--key-file", str(key_file))
    anna = pseudonym("anna-1")
    with (
        duckdb.connect(str(tmp_path / "staging.duckdb"), read_only=True) as staging,
        duckdb.connect(str(of(closed)), read_only=True) as live,
    ):
        for table in (
            "touchpoint",
            "order_current",
            "customer",
            "customer_day",
            "customer_channel_day",
            "customer_sales_day",
            "session_day",
            "customer_first",
        ):
            there = live.execute(f"select count(*) from {table} where customer_id = 'anna-1'").fetchone()
            assert staging.execute(f"select count(*) from {table} where customer_id = $1", [anna]).fetchone() == there != (0,), table
        assert staging.execute("select id, stream from tombstone order by stream").fetchall() == [
            (pseudonym("berta-2"), "customers"),
            (pseudonym("order-gone"), "orders"),
        ]
        assert staging.execute("select name, email, customer_unique_id, city from customer where name is not null").fetchall() == [
            (pseudonym("Anna Ampère"), pseudonym("anna@shop.example"), pseudonym("anna"), "Lyon")
        ]
        assert staging.execute("select event_id from touchpoint where event_text is null").fetchall() == [(UUID,)]


def test_aggregates_are_the_same_and_agree_with_the_rows(closed: Worker, tmp_path: Path) -> None:
    after, before = pseudonymised(closed, tmp_path / "staging.duckdb"), contents_of(of(closed))
    daily = [name for name, table in TABLES.items() if table.is_daily]
    assert {name: after[name] for name in (*daily, "day_state", "ledger", "accounting", "product")} == {
        name: before[name] for name in (*daily, "day_state", "ledger", "accounting", "product")
    }
    assert ended("verify", path=tmp_path / "staging.duckdb") == ExitCode.OK


def test_random_streams_agree_under_pseudonyms(tmp_path: Path, seed: int) -> None:
    worker, batches = random_worker(tmp_path, seed)
    for batch in batches:
        worker.feed(*batch)
    worker.close()
    pseudonymised(worker, tmp_path / "staging.duckdb")
    assert ended("verify", path=tmp_path / "staging.duckdb") == ExitCode.OK


def test_a_key_makes_the_same_pseudonyms_again_and_without_one_they_are_others(closed: Worker, tmp_path: Path, key_file: Path) -> None:
    with_key = [pseudonymised(closed, tmp_path / f"{number}.duckdb", "--key-file", str(key_file)) for number in range(2)]
    without = [pseudonymised(closed, tmp_path / f"{number}.duckdb") for number in (2, 3)]
    assert with_key[0] == with_key[1]
    assert len({repr(copy["customer_first"]) for copy in (*with_key, *without)}) == 3


def test_a_staging_worker_starts_anew_on_the_copy(closed: Worker, tmp_path: Path) -> None:
    pseudonymised(closed, tmp_path / "copy.duckdb")
    assert ended("restore", str(tmp_path / "copy.duckdb"), path=tmp_path / "restored.duckdb") == ExitCode.OK
    (tmp_path / "staging").mkdir()
    staging = Worker(tmp_path / "staging", retention={"days": 3})
    staging.close()
    (tmp_path / "restored.duckdb").replace(of(staging))
    staging.now = closed.now
    staging.reopen()
    staging.feed(touch("c1", "2026-03-13"))
    assert staging.differences() == []
    assert len(staging.rows("rejected")) == 0
    staging.close()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--key-file", "key"), "--key-file is for --pseudonymise"),
        (("--pseudonymise", "--key-file", "none"), "can't be read"),
        (("--pseudonymise", "--key-file", "short"), "5 bytes are no secret"),
    ],
)
def test_a_key_that_is_none_is_refused(
    closed: Worker,
    tmp_path: Path,
    options: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short").write_text("12345\n")
    assert ended("backup", "copy.duckdb", *options, path=of(closed)) == ExitCode.USAGE
    assert message in capsys.readouterr().err


# Columns that hold text or bytes and name no person. A new one stands here, or in worker/serve/pseudonyms.py.
IMPERSONAL = """
    accounting: origin stream                     day_checksum: checksum table_name      day_offset: topic topic_id
    ledger: reason                                ledger_offset: reason topic      ledger_sales: currency reason   file_setting: name
    schema_migration: name      table_switch: name       tombstone: stream
    touchpoint: browser campaign channel device event_id event_text event_type page_type product_id
    order_current: city country currency customer_segment items region state status
    customer: city country state      product: category name product_id subcategory      product_stock: product_id
    customer_channel_day: channel     customer_sales_day: country currency customer_segment region
    session_day: customer_event_id entry_channel entry_event_id
    daily_category: category currency subcategory     daily_channel: campaign channel     daily_product_activity: product_id
    daily_product_sales: currency product_id          daily_reach: channel                daily_region: city country currency region state
    daily_sales: country currency customer_segment region      daily_sessions: entry_channel      daily_stock: product_id
    hourly_sales: currency      hourly_traffic: event_type
    mart_run: mart reason state trigger version       mart_state: mart       audit_result: audit severity state table_name
"""
# The same of built-in marts, by the column alone.
IMPERSONAL_IN_MARTS = """
    activity campaign category channel city cluster cluster_label cohort_kind cohort_name confidence country currency entry_channel
    event_id frequency frequency_segment from_segment holdout_status kind label lifecycle lifecycle_stage metric model model_status
    monetary monetary_segment name origin path period_kind preferred_category previous_campaign previous_channel product_id reason
    recency recency_segment region rfm rfm_segment season second_category segment state states status stream subcategory to_segment
    value_3y_status value_quartile value_status value_tier
"""


def test_of_every_column_it_is_known_whether_it_names_a_person(closed: Worker) -> None:
    known: set[tuple[str, str]] = set()
    table = ""
    for word in IMPERSONAL.split():
        if word.endswith(":"):
            table = word[:-1]
        else:
            known.add((table, word))
    with duckdb.connect(str(of(closed)), read_only=True) as connection:
        found = connection.execute(
            "select c.table_name, column_name from duckdb_columns() as c join duckdb_tables() as t using (table_oid) "
            "where c.data_type similar to '.*(VARCHAR|BLOB|JSON).*' and c.table_name not in (select mart from mart_state)"
        ).fetchall()
    kept = {(table, column) for table, column in found if table not in EMPTIED and expression(table, column) is None}
    assert kept == known


def test_of_every_text_in_a_mart_it_is_known_whether_it_names_a_person(worker: Worker) -> None:
    Marts(worker).refresh()
    found = worker.query(
        "select c.table_name, c.column_name from duckdb_columns() as c join mart_state as s on s.mart = c.table_name "
        "where c.data_type similar to '.*(VARCHAR|BLOB|JSON).*'"
    )
    kept = {column for table, column in found if expression(table, column) is None}
    assert kept <= set(IMPERSONAL_IN_MARTS.split())
    assert expression("customer_overview", "name") is not None


def test_a_copy_has_no_rows_of_a_users_own_mart(worker: Worker, tmp_path: Path) -> None:
    own = mart("own", "", "select order_id as anything from order_current", grain="anything", reads="order_current")
    Marts(worker, own).refresh()
    Marts(worker).refresh("top_customers")
    with closing(take_snapshot(worker.store.cursor(), Wanted(tables=("own", "top_customers"), key=key_of(b"secret").hex()))) as snapshot:
        rows = {table.name: sum(batch.num_rows for batch in table.batches) for table in snapshot.tables}
    assert rows == {"own": 0, "top_customers": worker.query("select count(*) from top_customers")[0][0]}
