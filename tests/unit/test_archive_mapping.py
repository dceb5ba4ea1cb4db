"""A foreign layout, read by one SELECT."""

import json
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.archives import plan, read, shop_dump, shop_select, touchpoints_parquet
from worker.errors import ArchiveError, ConfigError
from worker.events import Stream
from worker.store.mapping import MappedQuery

SELECT = shop_select()


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    """The directory of the dump."""
    return shop_dump(tmp_path / "it's a dump")


def mapping(directory: Path, sql: str, name: str = "orders.sql") -> dict[Stream, Path]:
    path = directory.parent / name
    path.write_text(sql)
    return {Stream.ORDERS: path}


def test_times_constants_and_nested_items_are_as_the_select_says(dump: Path) -> None:
    found = read(dump, mappings=mapping(dump, SELECT))
    first, second = found.events(Stream.ORDERS)
    assert (first["order_id"], first["customer_id"], first["status"], first["currency"]) == ("a", "customer 17", "COMPLETED", "USD")
    assert first["ordered_at"] == datetime.fromisoformat("2026-03-05T13:00:00")
    assert [(item["product_id"], item["unit_price_cents"]) for item in first["items"]] == [("p1", 1000), ("p2", 249)]
    assert (first["gross_cents"], first["partition"], first["offset"]) == (1249, -1, -1)
    assert (second["ordered_at"], second["day"]) == (datetime.fromisoformat("2026-03-06T04:30:00"), date(2026, 3, 6))


def test_a_rejected_row_is_told_by_the_selects_file_and_its_row_of_the_result(dump: Path) -> None:
    mappings = mapping(dump, SELECT)
    (rejected,) = read(dump, mappings=mappings).rejected()
    assert (rejected.file, rejected.row, str(rejected.reason)) == (str(mappings[Stream.ORDERS]), 2, "bad_amount")
    assert json.loads(rejected.value)["items"][0]["unit_price_cents"] == -100


def test_with_a_mapping_nothing_else_is_read(dump: Path) -> None:
    touchpoints_parquet(dump / "touchpoints.parquet", range(3))
    found = read(dump, mappings=mapping(dump, SELECT))
    assert found.events(Stream.TOUCHPOINTS) == []
    assert plan(dump, mappings=mapping(dump, SELECT)).rows is None


def test_parquet_and_offsets_can_be_mapped_too(dump: Path) -> None:
    touchpoints_parquet(dump / "clicks" / "a.parquet", range(3))
    sql = """select * exclude (file_row_number), 5 as kafka_partition, file_row_number as kafka_offset
             from read_parquet(getvariable('archive') || '/clicks/*', file_row_number = true)"""
    found = read(dump, mappings={Stream.TOUCHPOINTS: mapping(dump, sql)[Stream.ORDERS]})
    assert (found.ids(), found.places()) == (["e0", "e1", "e2"], [(5, 0), (5, 1), (5, 2)])


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("", "holds nothing"),
        ("select 1; select 2", "holds SELECT, SELECT"),
        ("create table t (a int)", "holds CREATE"),
        ("copy (select 1) to 'x.csv'", "holds COPY"),
        ("attach 'x.db'", "holds ATTACH"),
        ("selec 1", "syntax error"),
        ("select nothing from nowhere", "nowhere does not exist"),
        ("select * from read_csv(getvariable('archive') || '/nowhere.csv')", "No files found"),
        ("select * from read_text('/etc/hostname')", "Cannot access file"),
        ("select * from read_text('orders.csv')", "Cannot access file"),
        ("select * from read_text(getvariable('archive') || '/../secret.txt')", "Cannot access file"),
        ("select * from read_text(getvariable('archive') || '/link.txt')", "Cannot access file"),
        ("select * from mappings", "mappings does not exist"),
        (SELECT.replace("'USD' as currency", "'USD' as curency"), 'curency is no column of the stream; did you mean "currency"?'),
        (SELECT.replace("'USD' as currency,", ""), "there is no column currency"),
        (SELECT.replace("'quantity': 1", "'quantity': 1.5"), r"items.quantity is decimal128\(2, 1\), not an integer"),
        (SELECT.replace("ordered_at as updated_at", "cast(bought as date) as updated_at"), "updated_at is date32"),
    ],
)
def test_a_select_that_can_not_be_used_is_refused_before_anything_is_read(dump: Path, sql: str, told: str) -> None:
    (dump.parent / "secret.txt").write_text("secret")
    (dump / "link.txt").symlink_to(dump.parent / "secret.txt")
    with pytest.raises(ConfigError, match=told):
        plan(dump, mappings=mapping(dump, sql))


def test_a_mapping_of_a_stream_without_a_topic_or_that_is_not_there_is_refused(dump: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere.sql can't be read"):
        plan(dump, mappings={Stream.ORDERS: dump / "nowhere.sql"})


def test_rows_that_can_not_be_computed_end_the_reading_and_are_told(dump: Path) -> None:
    orders = dump / "orders.csv"
    orders.write_text(orders.read_text().replace("17,2026-03-06", "x,2026-03-06"))
    sql = SELECT.replace("'customer ' || customer", "cast(cast(customer as bigint) as varchar)")
    with pytest.raises(ArchiveError, match=r"orders.sql: after row 0 \(counted from 0\): .*Could not convert string 'x' to INT64"):
        read(dump, mappings=mapping(dump, sql))


# Resume points


def test_a_mapping_goes_on_after_any_row(dump: Path) -> None:
    mappings = mapping(dump, SELECT)
    whole = read(dump, max_rows=1, mappings=mappings)
    assert len(whole.resume_points) == 3
    for place, resume_point in enumerate(whole.resume_points, 1):
        rest = read(dump, mappings=mappings, resume_point=json.loads(json.dumps(resume_point)))
        assert rest.ids() == whole.ids()[place:]
        assert [rejected.row for rejected in rest.rejected()] == [2][: 3 - place]


def changing(dump: Path, sql: str) -> Any:
    """What happens where a mapping is taken up again after its first two rows."""
    mappings = mapping(dump, sql)
    return read(dump, mappings=mappings, resume_point=read(dump, max_rows=2, mappings=mappings).resume_points[0])


def test_a_select_that_gives_other_rows_each_time_is_not_taken_up_again(dump: Path) -> None:
    assert changing(dump, SELECT).ids() == []
    with pytest.raises(ArchiveError, match="the first 2 rows are not those that were merged before"):
        changing(dump, SELECT.replace("'USD' as currency", "cast(uuid() as varchar) as currency"))


def test_another_select_or_file_is_another_archive(dump: Path) -> None:
    mappings = mapping(dump, SELECT)
    resume_point = read(dump, max_rows=2, mappings=mappings).resume_points[0]
    (dump / "new.csv").write_text("")
    with pytest.raises(ArchiveError, match=r"is not what the backfill began with: 2 files of .* then, 3 files"):
        read(dump, mappings=mappings, resume_point=resume_point)
    (dump / "new.csv").unlink()
    with pytest.raises(ArchiveError, match="now, but changed"):
        read(dump, mappings=mapping(dump, SELECT + "-- another"), resume_point=resume_point)


def test_a_long_result_is_not_held_in_memory(tmp_path: Path) -> None:
    query = MappedQuery("select range as n, repeat('x', 1000) as text from range(2_000_000)", "it", tmp_path, "100MB")
    first = next(query.batches(0, 0, 1_000))
    query.close()
    query.close()
    assert (first.first_row, first.rows.num_rows, first.rows.schema.names) == (0, 1_000, ["n", "text"])
