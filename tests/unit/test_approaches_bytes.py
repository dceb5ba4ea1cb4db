"""What is said to have been read: hand-made nights whose bytes can be added up by eye."""

import re
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest

from tests.support.arrivals import ArrivalLog, ordered, touched
from worker.approaches.arrow_engine import ArrowEngine
from worker.approaches.batch import Engine, FullBatch, Raw, Staging
from worker.approaches.counting import READINGS
from worker.approaches.nights import Night
from worker.approaches.ours import Tidemark, shop_decoder
from worker.approaches.sql_engine import SqlEngine
from worker.approaches.tables import Partitioned, Reads, logical_bytes
from worker.events import Stream
from worker.resources import sql_dir

ENGINES = [SqlEngine(), ArrowEngine()]


@pytest.fixture
def two_nights() -> list[Night]:
    """On the second night: a repetition and a late event, both of the first day; a refund; a new order."""
    log = ArrivalLog()
    return [
        log.night(
            "2026-03-02",
            touched(1, "2026-03-02 08:00"),
            touched(2, "2026-03-02 08:01"),
            touched(3, "2026-03-02 09:00", customer_id=None, channel="ads", cost_cents=50),
            ordered("o1", "2026-03-02 10:00"),
        ),
        log.night(
            "2026-03-03",
            touched(1, "2026-03-02 08:00"),
            touched(4, "2026-03-02 11:00"),
            ordered("o1", "2026-03-02 10:00", updated="2026-03-03 10:00", status="REFUNDED", refunded_cents=1000),
            ordered("o2", "2026-03-03 10:00", customer_id="c2"),
        ),
    ]


@pytest.fixture
def raw(two_nights: list[Night]) -> Raw:
    landed = Raw(shop_decoder())
    for night in two_nights:
        landed.land(night)
    return landed


@pytest.fixture
def tidemark(tmp_path: Path, two_nights: list[Night]) -> Iterator[Tidemark]:
    with closing(Tidemark(tmp_path / "x.duckdb", two_nights[0].over)) as worker:
        yield worker


@pytest.mark.parametrize(
    ("column", "size"),
    [
        (pa.array([1, None, 3], pa.int64()), 16),
        (pa.array([1, 2], pa.int8()), 16),
        (pa.array([date(2026, 3, 2), None]), 8),
        (pa.array(["", "ab", None, "ö"]), 2 + 4 + 4),
        (pa.array([b"0123456789abcdef", None], pa.binary(16)), 18),
        (pa.chunked_array([["ab"], ["c"]]), 4 + 3),
        (
            pa.array([[{"id": "ab", "n": 1}], [], [{"id": "c", "n": None}]], pa.list_(pa.struct({"id": pa.string(), "n": pa.int32()}))),
            12 + 3,
        ),
    ],
    ids=["numbers", "small numbers", "dates", "texts", "bytes", "chunks", "lists"],
)
def test_a_column_has_its_values_bytes_as_bigquery_bills_them(column: pa.Array, size: int) -> None:
    assert logical_bytes(column) == size


def test_a_table_counts_the_columns_and_days_that_are_read_and_no_others() -> None:
    reads, table = Reads(), Partitioned("t", pa.schema({"a": pa.int64(), "b": pa.string()}))
    one, two = date(2026, 3, 2), date(2026, 3, 3)
    table.append(one, pa.table({"a": [1, 2], "b": ["x", "y"]}))
    table.append(one, pa.table({"a": [3], "b": ["zz"]}))
    table.append(two, pa.table({"a": [4], "b": ["x"]}))
    assert table.read(reads, ["b"], [one])["b"].to_pylist() == ["x", "y", "zz"]
    assert (reads.rows["t"], reads.bytes["t"]) == (3, 3 + 3 + 4)
    table.replace(one, pa.table({"a": [5], "b": ["x"]}))
    assert sorted(table.read(reads)["a"].to_pylist()) == [4, 5]
    assert (reads.rows["t"], reads.bytes["t"]) == (3 + 2, 10 + 2 * (8 + 3))


# Bytes of a touchpoint: day 8, id 18, channel 2 + 5 ("ads": 2 + 3), customer 2 + 2, cost 8 or nothing.
FIRST_NIGHT, SECOND_NIGHT = 37 + 37 + 39, 37 + 37
KEYS_OF_FIRST_DAY = 3 * (8 + 18)
REACHED_FIRST, REACHED_BOTH = 19 + 19 + 21, 19 + 19 + 21 + 19


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_the_full_batch_reads_every_raw_row_every_night(engine: Engine, two_nights: list[Night]) -> None:
    raw = Raw(shop_decoder())
    full = FullBatch(engine, raw)
    for night in two_nights:
        raw.land(night)
        full.run(night)
    assert full.reads.rows["raw_touchpoint"] == 3 + 5
    assert full.reads.bytes["raw_touchpoint"] == FIRST_NIGHT + (FIRST_NIGHT + SECOND_NIGHT)
    assert full.reads.rows["raw_order"] == 1 + 3


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_staging_reads_new_raw_rows_the_ids_of_their_days_and_then_all_that_is_staged(
    engine: Engine, raw: Raw, two_nights: list[Night]
) -> None:
    staging = Staging(engine, raw)
    for night in two_nights:
        staging.run(night)
    assert staging.reads.bytes["raw_touchpoint"] == FIRST_NIGHT + SECOND_NIGHT
    assert staging.reads.bytes["staged_touchpoint"] == REACHED_FIRST + KEYS_OF_FIRST_DAY + REACHED_BOTH
    assert staging.reads.rows["staged_order"] == 1 + 1 + 2  # aggregated; looked up; aggregated
    assert staging.table("daily_sales")["net_cents"].to_pylist() == [0, 1000]


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_a_window_reads_no_day_that_it_has_left_and_stays_wrong_there(engine: Engine, raw: Raw, two_nights: list[Night]) -> None:
    window = Staging(engine, raw, window_days=1)
    for night in two_nights:
        window.run(night)
    assert window.reads.bytes["staged_touchpoint"] == REACHED_FIRST
    assert window.reads.bytes["raw_touchpoint"] == FIRST_NIGHT + SECOND_NIGHT
    assert window.table("daily_sales")["net_cents"].to_pylist() == [1000, 1000]  # the refund came too late
    assert window.table("daily_reach")["touchpoints"].to_pylist() == [1, 2]  # ads, email


def test_the_worker_finds_the_stored_rows_that_a_night_changes(tidemark: Tidemark, two_nights: list[Night]) -> None:
    tidemark.run(two_nights[0])
    before = Reads(tidemark.found.rows.copy(), tidemark.found.bytes.copy())
    tidemark.run(two_nights[1])
    rows, size = tidemark.found.rows - before.rows, tidemark.found.bytes - before.bytes
    assert rows == {
        "messages": 4,
        "touchpoint": 1,  # the repeated one
        "order_current": 1,  # o1 before its refund
        "customer_channel_day": 2,  # c1 by email on the first day: looked up, merged
        "customer_sales_day": 2,  # c1's o1: looked up, merged
        "daily_reach": 1,
        "daily_sales": 2,  # of both days, the second of which is new
    }
    assert size["messages"] == sum(
        len(message.name) + len(message.body or b"") for some in two_nights[1].messages.values() for message in some
    )
    # day, channel, customer, touchpoints, cost (128 bits)
    assert size["customer_channel_day"] == 2 * (8 + 7 + 4 + 8 + 16)
    # day, USD, three times (none), customer, orders, units, net
    assert size["customer_sales_day"] == 2 * (8 + 5 + 3 * 8 + 4 + 8 + 8 + 16)
    # day, hour, id, customer, session, occurred_at, page_view, email, partition, offset, ingested_at
    assert size["touchpoint"] == 8 + 8 + 18 + 4 + 4 + 8 + 11 + 7 + 3 * 8


def test_the_worker_is_billed_for_all_rows_of_the_days_that_its_statements_look_at(tidemark: Tidemark, two_nights: list[Night]) -> None:
    tidemark.run(two_nights[0])
    before = Reads(tidemark.scanned.rows.copy(), tidemark.scanned.bytes.copy())
    tidemark.run(two_nights[1])
    rows, size = tidemark.scanned.rows - before.rows, tidemark.scanned.bytes - before.bytes
    found = 8 + 8 + 18 + 4 + 4 + 8 + 11 + 7 + 3 * 8
    assert (rows["touchpoint"], size["touchpoint"]) == (4 + 1, 4 * (8 + 18) + found)  # the ids of the first day, and the row found
    assert rows["customer_channel_day"] == 2  # c1's of the first day, looked up and merged
    assert rows["order_current"] == 2 + 1  # the keys of the day, and the row found


def test_a_tombstone_is_looked_for_among_all_orders(tidemark: Tidemark) -> None:
    log = ArrivalLog()
    for day in range(2, 6):
        tidemark.run(log.night(f"2026-03-0{day}", ordered(f"o{day}", f"2026-03-0{day} 10:00")))
    before = tidemark.scanned.rows["order_current"]
    tidemark.run(log.night("2026-03-06", (Stream.ORDERS, "o3", None)))
    assert tidemark.scanned.rows["order_current"] - before == 4 + 1  # the ids of all, and the row found
    assert tidemark.table("daily_sales")["day"].to_pylist() == [date(2026, 3, day) for day in (2, 4, 5)]


def test_every_statement_that_reads_the_compared_tables_is_counted() -> None:
    """Each mention of a stored table in the statements of a commit is one of READINGS; a new one would be read for nothing."""
    tables = {reading.table for reading in READINGS}
    mention = re.compile(rf"\b(?:from|join|merge into|update)\s+({'|'.join(tables)})\b")
    found = Counter(
        (f"{folder}/{path.stem}", table)
        for folder in ("batch", "daily")
        for path in (sql_dir() / folder).glob("*.sql")
        for table in mention.findall(re.sub("--.*", "", path.read_text()))
    )
    for statement, table in list(found):
        is_of_dimensions = re.match(r"batch/(customer|product)_(clear|version)$", statement)  # streams that are not compared
        is_by_row_number = statement == "daily/order_current"  # of rows that stored_order has read
        is_counted_elsewhere = statement == "batch/touchpoint_ids"  # CountingStore.load_touchpoint_ids
        if is_of_dimensions or is_by_row_number or is_counted_elsewhere:
            del found[statement, table]
    assert found == Counter((reading.statement, reading.table) for reading in READINGS)
