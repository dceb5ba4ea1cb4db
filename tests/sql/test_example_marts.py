"""The examples of a user's own marts (examples/marts/), in a few rows to check by eye; random lives are in tests/simulation."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.mart_reference import mart_differences
from tests.support.marts import Marts
from tests.support.oracle_sql import selected
from tests.support.worker import Worker, line, order, touch
from worker.config import Marts as Settings
from worker.marts.audits import Auditor
from worker.marts.collection import all_marts

EXAMPLES = Path(__file__).parents[2] / "examples" / "marts"
NAMES = ("attribution_week", "sales_pivot", "user_cohort")


def marts_of(directory: Path, worker: Worker, *names: str) -> Marts:
    marts = Marts(worker, *all_marts(Settings(directory=directory)).values())
    marts.refresh(*names)
    return marts


def shop(worker: Worker) -> None:
    """Ann comes by mail, Bob unseen; an ad brought Ann ten days before."""
    worker.feed(
        touch("ann", "2026-02-20 08:00", event_type="ad_click", channel="paid"),
        touch("ann", "2026-03-02 08:00", channel="organic"),
        touch("ann", "2026-03-02 08:01", event_type="email_open", channel="email"),
        touch("ann", "2026-03-02 19:00", channel="direct"),
        order("o1", "2026-03-02 09:00", customer_id="ann", region="north", items=[line(category="tea", unit_price_cents=700)]),
        order("o2", "2026-04-05 09:00", customer_id="ann", region="north", items=[line(category="mugs", unit_price_cents=900)]),
        order("o3", "2026-04-06 09:00", customer_id="bob", region="south", discount_cents=50, items=[line(category="tea")]),
        close="2026-05-31",
    )


@pytest.fixture(scope="module")
def marts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Marts]:
    worker = Worker(tmp_path_factory.mktemp("examples"))
    shop(worker)
    yield marts_of(EXAMPLES, worker, *NAMES, "attribution_channel", "cohort_summary")
    worker.close()


def test_these_are_all_the_examples() -> None:
    assert tuple(sorted(path.stem for path in EXAMPLES.iterdir())) == NAMES


def test_a_pivot_has_a_column_for_each_month(marts: Marts) -> None:
    columns = ("year", "dimension", "march", "april", "may", "total")
    assert marts.rows("sales_pivot", *columns) == [(2026, "mugs", None, 900, None, 900), (2026, "tea", 700, 1000, None, 1700)]


def test_a_copy_pivots_another_measure_by_another_dimension(worker: Worker, tmp_path: Path) -> None:
    """As the comment in the file says: two words, the table, the name."""
    text = (EXAMPLES / "sales_pivot.sql").read_text().replace("sales_pivot", "orders_by_region").replace("daily_category", "daily_sales")
    own = tmp_path / "own"
    shutil.copytree(EXAMPLES, own)
    (own / "orders_by_region.sql").write_text(text.replace("category as dimension, sales_cents as", "region as dimension, orders as"))
    shop(worker)
    marts = marts_of(own, worker, "orders_by_region")
    columns = ("dimension", "march", "april", "total")
    assert marts.rows("orders_by_region", *columns) == [("north", 1, 1, 2), ("south", None, 1, 1)]


def test_customers_are_in_the_cohorts_of_their_first_order(marts: Marts) -> None:
    assert marts.rows("user_cohort", "cohort_date", "customer_id", "cohort_name") == [
        ("2026-03-02", "ann", "category: tea"),
        ("2026-03-02", "ann", "channel: email"),
        ("2026-03-02", "ann", "price: full"),
        ("2026-04-06", "bob", "category: tea"),
        ("2026-04-06", "bob", "channel: (none)"),
        ("2026-04-06", "bob", "price: reduced"),
    ]


def test_retention_is_told_of_each_cohort(marts: Marts) -> None:
    assert marts.worker.query(
        "select cohort_name, cohort_start, cohort_size, retention from cohort_retention "
        "where cohort_kind = 'user' and period_kind = 'month' and period_number = 1 order by all"
    ) == [
        ("category: tea", "2026-03-01", 1, 1.0),
        ("category: tea", "2026-04-01", 1, 0.0),
        ("channel: (none)", "2026-04-01", 1, 0.0),
        ("channel: email", "2026-03-01", 1, 1.0),
        ("price: full", "2026-03-01", 1, 1.0),
        ("price: reduced", "2026-04-01", 1, 0.0),
    ]


def test_a_late_order_moves_its_customer_as_a_full_refresh_would(worker: Worker) -> None:
    shop(worker)
    marts = marts_of(EXAMPLES, worker, "user_cohort")
    worker.feed(order("o0", "2026-02-21 09:00", customer_id="ann", items=[line(category="filters")]))
    run = marts.refresh("user_cohort")["user_cohort"]
    assert (run.reason, run.rows_written) == ("", 3)
    with worker.store.cursor() as connection:
        incremental = selected(connection, "from user_cohort")
        assert {row["cohort_name"] for row in incremental if row["customer_id"] == "ann"} == {
            "category: filters",
            "channel: (none)",
            "price: full",
        }
        marts.refresh("user_cohort", full=True)
        again = selected(connection, "from user_cohort")
    assert mart_differences("user_cohort", marts.marts["user_cohort"].key, again, incremental) == []


def test_a_touch_of_last_month_is_outside_the_week(marts: Marts) -> None:
    first = "select channel, credit_cents from {} where period_kind = 'month' and period = date '2026-03-01' and model = 'first'"
    assert marts.worker.query(first.format("attribution_channel")) == [("paid", 700)]
    assert marts.worker.query(first.format("attribution_week")) == [("organic", 700)]


@pytest.mark.parametrize("name", NAMES)
def test_their_questions_can_be_asked_and_their_audits_pass(marts: Marts, name: str) -> None:
    assert all(marts.worker.query(question.sql) for question in marts.marts[name].front.questions)
    with marts.worker.store.cursor() as connection:
        results = Auditor(marts.refresher).run(connection, name)
    assert not any(result.fails for result in results)
