"""The real purchases: read from the wheel as they are, sent as orders that add up to the cent."""

import io
import zipfile
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import fastavro
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.demo import cdnow
from worker.demo.cdnow import PUBLISHED, Purchase
from worker.demo.delivery import ORDER, writer_schemas
from worker.errors import Unavailable


def written(purchase: Purchase) -> dict[str, object]:
    (message,) = cdnow.messages([purchase])
    assert message.value is not None
    record = fastavro.schemaless_reader(io.BytesIO(message.value[5:]), writer_schemas()[ORDER], None)
    assert isinstance(record, dict)
    return record


@given(units=st.integers(1, 10_000), cents=st.integers(0, 10**9))
def test_an_order_has_the_units_and_the_dollars_of_its_purchase_exactly(units: int, cents: int) -> None:
    items = written(Purchase("00004", date(1997, 1, 1), units, cents))["items"]
    assert isinstance(items, list)
    assert sum(item["quantity"] for item in items) == units
    assert sum(item["quantity"] * item["unit_price_cents"] - item["discount_cents"] for item in items) == cents


def test_two_purchases_of_a_customer_on_one_day_are_two_orders() -> None:
    first, second = cdnow.messages([Purchase("00004", date(1997, 1, 1), 2, 2_933)] * 2)
    assert first.key != second.key


def test_a_purchase_is_an_order_on_its_day() -> None:
    order = written(Purchase("00004", date(1997, 1, 18), 2, 2_973))
    assert order["ordered_at"] == order["updated_at"] == datetime(1997, 1, 18, 12, tzinfo=UTC)
    assert (order["customer_id"], order["status"], order["currency"]) == ("00004", "COMPLETED", "USD")


def test_lines_are_read_as_customer_day_units_and_cents(tmp_path: Path) -> None:
    wheel = tmp_path / "some.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("lifetimes/datasets/CDNOW_sample.txt", " 00021 0002 19970302  3   63.34\r\n 00004 0001 19970101  2    0.29\r\n")
    assert cdnow.purchases(wheel) == [Purchase("00004", date(1997, 1, 1), 2, 29), Purchase("00021", date(1997, 3, 2), 3, 6_334)]


def test_a_wheel_that_is_another_one_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Lifetimes-0.11.3-py3-none-any.whl").write_bytes(b"something else")
    with pytest.raises(Unavailable, match="not the file that was expected"):
        cdnow.fetch(tmp_path)


def test_the_sample_adds_up_to_what_was_published() -> None:
    """Counted here from the raw lines, without the code that reads them for the demo. Needs the wheel that make demo-real keeps."""
    wheel = cdnow.CACHE / cdnow.WHEEL
    if not wheel.is_file():
        pytest.skip(f"{wheel} is not there: make demo-real fetches it")
    with zipfile.ZipFile(wheel) as archive:
        lines = [line.split() for line in archive.read("lifetimes/datasets/CDNOW_sample.txt").decode().splitlines()]
    assert len(lines) == PUBLISHED.orders
    assert len({line[0] for line in lines}) == PUBLISHED.customers
    assert sum(int(line[3]) for line in lines) == PUBLISHED.units
    assert sum(Decimal(line[4]) for line in lines) * 100 == PUBLISHED.net_cents
    assert len({(line[0], line[2]) for line in lines}) == PUBLISHED.customer_days
    days = {datetime.strptime(line[2], "%Y%m%d").replace(tzinfo=UTC).date() for line in lines}
    assert (len(days), min(days), max(days)) == (PUBLISHED.days, PUBLISHED.first_day, PUBLISHED.last_day)
    assert len(cdnow.purchases(wheel)) == PUBLISHED.orders


def test_where_the_wheel_can_not_be_downloaded_it_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(Unavailable, match="could not be downloaded: ERROR: No matching distribution") as raised:
        cdnow.fetch(tmp_path / "cache")
    assert raised.value.remedy == f"Where there is no network, put Lifetimes-0.11.3-py3-none-any.whl (from PyPI) into {tmp_path / 'cache'}."
