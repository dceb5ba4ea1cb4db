"""Marts that are merged by key, and what becomes of a table whose mart has other columns than before."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.marts import Marts, mart
from tests.support.worker import Worker, order
from worker.errors import ConfigError
from worker.marts.definition import Mart


@pytest.fixture
def worker(tmp_path: Path) -> Iterator[Worker]:
    worker = Worker(tmp_path)
    worker.feed(order("o1", "2026-03-05"), order("o2", "2026-03-05", status="REFUNDED"), close="2026-03-07")
    yield worker
    worker.close()


def latest(select: str = "order_id, updated_at, status", *, front: str = "", where: str = "counted") -> Mart:
    columns = ", ".join(column.split(" as ")[-1].strip() for column in select.split(",") if "order_id" not in column)
    return mart(
        "latest",
        f'unit = "merge"\nversion = "updated_at"\n{front}',
        f"select {select} from order_current where {where}",
        grain="order_id",
        columns=columns,
        reads="order_current",
    )


def test_the_newer_version_stands(worker: Worker) -> None:
    marts = Marts(worker, latest())
    assert marts.refresh()["latest"].reason == "first"
    worker.feed(order("o1", "2026-03-05", updated="2026-03-09", status="REFUNDED"), order("o3", "2026-03-05"))
    run = marts.refresh()["latest"]
    assert (run.reason, run.rows_written, run.rows_removed) == ("", 2, 0)
    assert marts.rows("latest", "order_id", "status", "_is_deleted") == [
        ("o1", "REFUNDED", False),
        ("o2", "REFUNDED", False),
        ("o3", "COMPLETED", False),
    ]


def test_what_has_vanished_is_marked_by_a_full_refresh_and_comes_back_with_its_key(worker: Worker) -> None:
    marts = Marts(worker, latest())
    marts.refresh()
    worker.feed(order("o1", "2026-03-05", updated="2026-03-09", status="CANCELLED"))
    marts.refresh()
    assert marts.rows("latest", "order_id", "_is_deleted") == [("o1", False), ("o2", False)]
    assert marts.refresh(full=True)["latest"].rows_removed == 1
    assert marts.rows("latest", "order_id", "status", "_deleted_at") == [
        ("o1", "COMPLETED", "2026-03-09 12:00:00"),
        ("o2", "REFUNDED", None),
    ]
    worker.feed(order("o1", "2026-03-05", updated="2026-03-10"))
    marts.refresh()
    assert marts.rows("latest", "order_id", "updated_at", "_is_deleted", "_deleted_at")[0] == ("o1", "2026-03-10 12:00:00", False, None)


def test_a_key_that_comes_twice_fails(worker: Worker) -> None:
    by_status = mart(
        "twice",
        'unit = "merge"\nversion = "updated_at"',
        "select day, updated_at from order_current",
        grain="day",
        columns="updated_at",
        reads="order_current",
    )
    with pytest.raises(ConfigError, match="1 repeat the key"):
        Marts(worker, by_status).refresh()


def test_other_columns_fail_or_come_beside(worker: Worker) -> None:
    Marts(worker, latest()).refresh()
    with pytest.raises(ConfigError, match="its table has other columns: region, status"):
        Marts(worker, latest("order_id, updated_at, region")).refresh()
    marts = Marts(worker, latest("order_id, updated_at, region", front='on_schema_change = "append"'))
    worker.feed(order("o1", "2026-03-05", updated="2026-03-09", region="south"))
    marts.refresh()
    assert marts.rows("latest", "order_id", "status", "region") == [("o1", "COMPLETED", "south"), ("o2", "REFUNDED", None)]


def test_a_table_that_is_replaced_may_keep_columns_that_are_gone(worker: Worker) -> None:
    def found(columns: str) -> Mart:
        return mart(
            "found",
            'on_schema_change = "append"',
            f"select order_id, {columns} from order_current",
            grain="order_id",
            columns=columns,
            reads="order_current",
        )

    Marts(worker, found("status")).refresh()
    marts = Marts(worker, found("currency"))
    marts.refresh()
    assert marts.rows("found", "order_id", "currency", "status")[0] == ("o1", "USD", None)


def test_a_table_that_no_mart_has_made_is_left_alone(worker: Worker) -> None:
    named_alike = mart("touchpoint", "", "select order_id from order_current", grain="order_id", reads="order_current")
    with pytest.raises(ConfigError, match="which no mart has made"):
        Marts(worker, named_alike).refresh()


def test_a_view_may_become_a_table_and_a_view_again(worker: Worker) -> None:
    base = mart("base", "", "select order_id from counted_order", grain="order_id", reads="counted_order")
    for unit in ("view", "whole", "view"):
        above = mart("above", f'unit = "{unit}"', "select order_id from base", grain="order_id", reads="base", parameters="")
        marts = Marts(worker, base, above)
        marts.refresh()
        assert marts.rows("above") == [("o1",), ("o2",)]
