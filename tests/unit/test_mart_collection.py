"""A user's own marts, and built-in ones with other settings."""

from pathlib import Path

import pytest

from tests.support.marts import Marts as Refreshed
from tests.support.worker import Worker, line, order
from worker.config import Marts
from worker.errors import ConfigError
from worker.marts.collection import all_marts, collected
from worker.marts.definition import MartFault, built_in, ordered

OWN = """\
-- big_orders: orders over a limit.
-- grain: (order_id)   reads: counted_order
/*
[columns]
order_id = { about = "the order" }
*/
select order_id from counted_order where net_cents > 1500
"""
SHORT = """\
-- best_ten: the ten best customers of a week.
/*
like = "top_customers"
[parameters]
top_days = 7
top_count = 10
*/
"""
BASE = (
    OWN.replace("big_orders", "base")
    .replace("reads: counted_order", "reads: counted_order   parameters: top_count")
    .replace("1500", "$top_count")
)
ABOVE = OWN.replace("big_orders", "above").replace("counted_order", "base").replace("where net_cents > 1500", "")
OTHER = SHORT.replace("best_ten", "other").replace("top_customers", "above").replace("top_days = 7\n", "")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "marts"
    directory.mkdir()
    return directory


def test_a_file_in_the_directory_is_a_mart(directory: Path, tmp_path: Path) -> None:
    (directory / "big_orders.sql").write_text(OWN)
    marts = all_marts(Marts(directory=directory))
    assert marts.keys() == built_in().keys() | {"big_orders"}
    worker = Worker(tmp_path)
    worker.feed(order("o1", "2026-03-05"), order("o2", "2026-03-05", items=[line(quantity=2)]), close="2026-03-07")
    refreshed = Refreshed(worker, marts["big_orders"])
    refreshed.refresh()
    assert refreshed.rows("big_orders") == [("o2",)]
    worker.close()


def test_a_built_in_mart_with_other_settings(directory: Path) -> None:
    (directory / "best_ten.sql").write_text(SHORT)
    mart = all_marts(Marts(directory=directory))["best_ten"]
    assert (mart.given, mart.purpose) == ({"top_days": 7, "top_count": 10}, "the ten best customers of a week.")
    assert mart.columns == built_in()["top_customers"].columns


def test_what_it_reads_is_instantiated_where_a_setting_changes_it(directory: Path) -> None:
    for name, text in (("base", BASE), ("above", ABOVE), ("other", OTHER)):
        (directory / f"{name}.sql").write_text(text)
    marts = all_marts(Marts(directory=directory))
    assert marts["other"].reads == ("other__base",)
    assert marts["other__base"].front.internal
    assert not marts["other"].front.internal
    assert [mart.name for mart in ordered(marts[name] for name in ("other", "other__base"))] == ["other__base", "other"]


@pytest.mark.parametrize("unit", ["whole", "view"])
def test_an_instance_has_rows_of_its_own(directory: Path, tmp_path: Path, unit: str) -> None:
    above = ABOVE.replace("[columns]", f'unit = "{unit}"\n[columns]')
    for name, text in (("base", BASE), ("above", above), ("other", OTHER.replace("= 10", "= 1000"))):
        (directory / f"{name}.sql").write_text(text)
    marts = all_marts(Marts(directory=directory))
    worker = Worker(tmp_path)
    worker.feed(order("o1", "2026-03-05"), close="2026-03-07")
    refreshed = Refreshed(worker, *(marts[name] for name in ("base", "above", "other", "other__base")))
    refreshed.refresh()
    assert (refreshed.rows("above"), refreshed.rows("other")) == ([("o1",)], [])
    worker.close()


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (SHORT.replace("top_days", "top_dys"), "there is no setting top_dys of marts"),
        (SHORT.replace("= 7", "= 0"), "greater than or equal to 1"),
        (SHORT.replace("top_days = 7", "touch_window_hours = 7").replace("touch_window_hours", "share_days"), "takes share_days"),
        (SHORT.replace('"top_customers"', '"top_customer"'), 'did you mean "top_customers"'),
        (SHORT.replace("best_ten:", "best:"), "does not begin with"),
        (SHORT.replace("[parameters]", "[settings]"), "parameters"),
        (OWN.replace("grain: (order_id)", "grain: (id)").replace("big_orders", "best_ten"), "its grain names id"),
        (OWN.replace("1500", "$limit").replace("big_orders", "best_ten"), "does not name the parameters limit"),
        (OWN.replace("*/", "").replace("big_orders", "best_ten"), "is not a header of comment lines"),
        (OWN.replace("select order_id", "select order_id; select 1").replace("big_orders", "best_ten"), "is not one statement"),
        (OWN.replace("[columns]", 'unit = "day"\n[columns]').replace("big_orders", "best_ten"), "need the column day"),
        (OWN.replace("[columns]", 'unit = "append"\n[columns]').replace("big_orders", "best_ten"), "each column needs a type"),
        (OWN.replace("[columns]", 'unit = "merge"\n[columns]').replace("big_orders", "best_ten"), "its `version`"),
        (OWN.replace("[columns]", "at_a_time = 5\n[columns]").replace("big_orders", "best_ten"), "at_a_time counts customers"),
        (OWN.replace("[columns]", 'schedule = "hourly"\n[columns]').replace("big_orders", "best_ten"), "is not a duration"),
    ],
)
def test_what_is_wrong_in_a_file_is_said(directory: Path, text: str, fault: str) -> None:
    (directory / "best_ten.sql").write_text(text)
    with pytest.raises(ConfigError, match=r"^mart best_ten: ") as raised:
        all_marts(Marts(directory=directory))
    assert fault in raised.value.message


def test_marts_that_depend_in_a_circle_are_refused(directory: Path) -> None:
    for name, other in (("one", "two"), ("two", "one")):
        (directory / f"{name}.sql").write_text(OWN.replace("big_orders", name).replace("counted_order", other))
    (directory / "upon.sql").write_text(OWN.replace("big_orders", "upon").replace("counted_order", "two"))
    found = collected(Marts(directory=directory))
    assert found.marts.keys() == built_in().keys()
    assert found.faults.keys() == {"one", "two", "upon"}
    assert found.faults["one"].message == "marts depend on each other in a circle: one, two, upon"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (OWN.replace("order_id = {", "order_id = "), 5),
        (OWN.replace("[columns]", "[colums]"), 4),
        (OWN.replace("about", "abut"), 5),
        (OWN.replace("[columns]", 'schedule = "hourly"\n[columns]'), 4),
        (OWN.replace("grain: (order_id)", "grain: (id)"), 2),
        (OWN.replace("where", "\nwher"), 8),
        (OWN.replace("1500", "$least"), 7),
        (OWN + "; select 1", 7),
        (OWN.replace("-- big", "-- the big"), 1),
        (SHORT.replace("best_ten", "big_orders").replace("= 7", "= 0"), 5),
        (SHORT.replace("best_ten", "big_orders").replace("top_customers", "top"), 3),
    ],
)
def test_what_is_wrong_in_a_file_is_told_with_its_line(directory: Path, text: str, line: int) -> None:
    (directory / "big_orders.sql").write_text(text)
    fault = collected(Marts(directory=directory)).faults["big_orders"]
    assert isinstance(fault, MartFault)
    assert (fault.line, fault.remedy) == (line, f"Mend line {line} of big_orders.sql; docs/marts.md says what a mart's file is.")


def test_a_fault_in_one_file_leaves_the_other_marts_as_they_are(directory: Path) -> None:
    (directory / "big_orders.sql").write_text(OWN)
    (directory / "best_ten.sql").write_text(SHORT.replace("top_days", "top_dys"))
    (directory / "like_it.sql").write_text(SHORT.replace("best_ten", "like_it").replace("top_customers", "best_ten"))
    (directory / "top_products.sql").write_text("select 1")
    (directory / "bytes.sql").write_bytes(b"\xff")
    found = collected(Marts(directory=directory))
    assert found.marts.keys() == built_in().keys() - {"top_products"} | {"big_orders"}
    assert found.faults.keys() == {"best_ten", "like_it", "top_products", "bytes"}
