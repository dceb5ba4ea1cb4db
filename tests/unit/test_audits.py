"""Audits: each finds the fault that is planted for it, and is silent on sound data."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.support.marts import Marts
from tests.support.messages import Produced
from tests.support.worker import Worker, customer, line, order, product, touch
from worker.marts.audits import Audit, Auditor, AuditResult, AuditState

CREDITS = "attribution_credit"
# (table, audit): what is done to a table in which all is as it should be.
FAULTS = {
    ("accounting", "accounting_balance"): "update accounting set accepted = accepted + 1",
    ("hourly_traffic", "day_volume"): "update hourly_traffic set touchpoints = 100; delete from hourly_traffic where day = '2026-03-04'",
    ("order_current", "order_counted"): "update order_current set status = 'CANCELLED' where order_id = 'o2026-03-04'",
    ("order_current", "order_key"): "insert into order_current from order_current limit 1",
    ("order_current", "order_on_two_days"): "update order_current set order_id = 'the same'",
    ("touchpoint", "touchpoint_key"): "insert into touchpoint from touchpoint limit 1",
    ("accounting_history", "every message is accounted for, and none is unread again"): "update accounting_history set read = read + 1",
    ("accounting_history", "duplicates are as rare as before"): (
        "insert into accounting_history select '2026-03-08', origin, stream, read + 2000, accepted + 1900, duplicate + 100, "
        "superseded, rejected, expired from accounting_history"
    ),
    ("active_day", "activity is orders or any, and orders are orders"): "update active_day set orders = 0",
    (
        "attribution_campaign",
        "per period and model, credit is the revenue to the cent, and conversions are all",
    ): "update attribution_campaign set credit_cents = credit_cents + 1 where period = '2026-03-04' and model = 'linear'",
    ("attribution_campaign", "cost is what the channels cost"): "delete from attribution_campaign where period = '2026-03-04'",
    ("attribution_channel", "sums are those of the campaigns"): "delete from attribution_channel where model = 'shapley'",
    (
        CREDITS,
        "credits sum to the money of the order, weights to 1",
    ): f"update {CREDITS} set credit_j_shaped = credit_j_shaped + 1 where place = 1",
    (CREDITS, "every conversion is there"): f"delete from {CREDITS} where order_id = 'o2026-03-04'",
    (CREDITS, "touches are those of the customer, within the window"): f"update {CREDITS} set occurred_at = ordered_at + interval 1 second",
    (
        "attribution_event",
        "each is a touch or a cart_add of a customer",
    ): "update attribution_event set is_touch = false, is_cart_add = false",
    (
        "attribution_markov",
        "probabilities, effects and shares are fractions, shares sum to 1",
    ): "update attribution_markov set share = share / 2",
    ("attribution_null", "journeys are whole, and stand in no conversion's window"): "update attribution_null set places = 9",
    ("attribution_path", "conversions and their value are those with a touch"): "update attribution_path set value_cents = value_cents + 1",
    ("attribution_path", "a path has touches, and converted or did not"): "update attribution_path set conversions = 0, nulls = 0",
    ("attribution_touch", "weights are fractions, models are the rule models"): "update attribution_touch set weight = 1.5",
    ("category_share", "shares sum to 1"): "update category_share set share = share / 2",
    ("cohort_activity", "each member begins once"): "update cohort_activity set is_first = false",
    ("cohort_activity", "kinds of cohorts are those that there are"): "update cohort_activity set cohort_name = 'of March'",
    ("cohort_retention", "no more customers than the cohort has"): "update cohort_retention set active_customers = cohort_size + 1",
    (
        "cohort_retention",
        "every period of a cohort is there",
    ): "delete from cohort_retention where period_kind = 'week' and period_number = 0",
    (
        "cohort_retention",
        "weeks, months and quarters add up to the same",
    ): "update cohort_retention set orders = 7 where period_kind = 'week'",
    ("cohort_retention", "members, orders and money are those of the members"): "update cohort_retention set net_cents = net_cents + 1",
    ("cohort_summary", "pooled cells are the complete ones"): "update cohort_summary set active_customers = 0",
    (
        "customer_facts",
        "who ordered has a first and a last order, and they are in order",
    ): "update customer_facts set last_order_day = null",
    ("customer_features", "a row for each customer of the overview"): "delete from customer_features where customer_id = 'c1'",
    ("customer_overview", "spend is orders times average"): "update customer_overview set total_spend = total_spend + 1",
    ("customer_overview", "windows lie within the whole"): "update customer_overview set order_count_30d = order_count_90d + 1",
    ("customer_overview", "spend is over 0 where there are orders, refunds aside"): "update customer_overview set total_spend = 0",
    (
        "customer_overview",
        "customers are known, and all of them are there",
    ): "update customer_overview set customer_id = customer_id || '!'",
    ("customer_overview", "counts and times are not negative"): "update customer_overview set website_visits = -1",
    ("customer_overview", "carts are not more than visits"): "update customer_overview set abandoned_cart_count = website_visits + 1",
    ("customer_segment", "scores and limits"): "update customer_segment set r_score = 6",
    ("customer_segment", "champions have high scores"): "update customer_segment set rfm_segment = 'Champions'",
    ("customer_segment", "segments keep their limits"): "update customer_segment set frequency_segment = 'High'",
    ("customer_segment", "segments are those that there are"): "update customer_segment set lifecycle_stage = 'Reborn'",
    ("customer_value", "model columns where the status is ok"): "update customer_value set model_status = 'ok', model_value = null",
    ("customer_value", "probabilities and intervals"): "update customer_value set p_alive = 1.5",
    ("customer_value", "rows are the customers who ordered"): "delete from customer_value where customer_id = 'c1'",
    ("customer_value", "classes are those that there are"): "update customer_value set confidence = 'none'",
    ("customer_value", "a capped lifetime is worth no more"): "update customer_value set heuristic_value_12m = heuristic_value + 1",
    ("dim_date", "calendar has no gaps"): "delete from dim_date where day = '2026-03-01'",
    ("finance_month", "revenue is what is left of gross"): "update finance_month set gross = gross + 1",
    ("finance_month", "margin is within 100 %"): "update finance_month set margin = -1.5",
    ("finance_month", "sums are those of the days"): "update finance_month set orders = orders + 1",
    ("funnel", "no stage has more sessions than there are"): "update funnel set with_purchase = sessions + 1",
    ("funnel", "stages are those of the day's sessions"): "update funnel set sessions = sessions + 1",
    ("funnel", "conversion is a fraction, and no step ends before it begins"): "update funnel set seconds_to_purchase = -1",
    ("hourly_sessions", "sessions are those of the day"): "delete from hourly_sessions where day = '2026-03-04'",
    ("inventory_status", "stock is not negative"): "update inventory_status set stock = -1",
    ("inventory_status", "products are known"): "update inventory_status set product_id = 'unheard of'",
    ("product_day", "scores are 1 to 5"): "update product_day set scored_reviews = 1, score_sum = 6",
    ("product_performance", "margin is within 100 %"): "update product_performance set margin = -1.5",
    ("product_performance", "mean score is 1 to 5"): "update product_performance set mean_score = 5.1",
    ("product_performance", "stock average lies between the extremes"): "update product_performance set stock_average = stock_maximum + 1",
    ("product_performance", "ranks have no gaps"): "update product_performance set rank_overall = rank_overall + 1",
    ("product_performance", "sums are those of the days"): "update product_performance set units_sold = units_sold + 1",
    ("region_share", "shares sum to 1"): "update region_share set share = share / 2",
    ("sales_trend", "no day is missing"): "delete from sales_trend where day = '2026-03-01'",
    ("sales_trend", "revenue and orders are those of the day"): "update sales_trend set revenue = revenue + 1",
    (
        "segment_cluster_fit",
        "numbered by mean monetary",
    ): "insert into segment_cluster_fit (fit_id, cluster, centre) values (1, 1, [0, 0, 9]), (1, 2, [0, 0, 8])",
    (
        "segment_cluster_fit",
        "clusters have members and a label",
    ): "insert into segment_cluster_fit (fit_id, cluster, label, members) values (1, 1, 'VIP', 0)",
    ("segment_member", "segments are those that there are"): "update segment_member set rfm = null",
    (
        "segment_migration",
        "each kind moves as many customers",
    ): "insert into segment_migration values ('2026-02-01', 'rfm', 'a', 'b', 1), ('2026-02-01', 'recency', 'a', 'b', 2)",
    (
        "segment_migration",
        "no move is empty, and none goes to (new)",
    ): "insert into segment_migration values ('2026-02-01', 'rfm', 'a', 'b', 0)",
    ("segment_snapshot", "each member has a segment of each kind"): "delete from segment_snapshot where kind = 'rfm'",
    ("segment_summary", "each kind holds every customer once"): "update segment_summary set customers = customers + 1 where kind = 'rfm'",
    ("segment_summary", "shares are fractions"): "update segment_summary set retention = 1.5",
    ("segment_summary", "members are those of the snapshot"): "update segment_summary set customers = customers + 1",
    ("top_customers", "each customer once"): "insert into top_customers from top_customers",
    ("top_customers", "ranks go by revenue, without gaps"): "update top_customers set rank = rank + 1",
    ("top_products", "each product once"): "insert into top_products from top_products",
    ("top_products", "ranks go by revenue, without gaps"): "update top_products set rank = rank + 1",
    ("traffic_anomaly", "volume is as usual"): "update traffic_anomaly set is_anomaly = true",
    ("traffic_anomaly", "no day is missing"): "delete from traffic_anomaly where day = '2026-03-01'",
    ("traffic_anomaly", "touchpoints are those of the day"): "update traffic_anomaly set value = value + 1",
    ("traffic_season", "every weekday has 24 hours"): "delete from traffic_season where hour = 3",
    ("traffic_season", "weekdays and hours are those that there are"): "update traffic_season set weekday = 0",
    ("value_model_fit", "parameters where it converged, and none elsewhere"): "update value_model_fit set status = 'converged'",
    ("value_model_fit", "value does not depend on frequency"): "update value_model_fit set frequency_value_correlation = 0.5",
}


def _of(day: str, number: int) -> list[Produced]:
    """Two customers: one who looks and buys, one who leaves a cart behind and orders from abroad."""
    buyer, other = f"c{number % 3}", f"x{number % 4}"
    steps = ("ad_click", "page_view", "product_view", "cart_add", "checkout_start", "purchase")
    visit = [
        touch(buyer, f"{day} 0{hour}:00", event_type=kind, product_id="p1", channel="paid", cost_cents=7) for hour, kind in enumerate(steps)
    ]
    left = [touch(other, f"{day} 12:0{minute}", event_type=kind, product_id="p2") for minute, kind in enumerate(("page_view", "cart_add"))]
    review = touch(other, f"{day} 12:10", event_type="review", product_id="p2", review_score=4)
    items = [line(product_id="p1", category="shirts"), line(product_id="p2", category="hats", unit_cost_cents=300)]
    orders = [order(f"o{day}", f"{day} 06:30", customer_id=buyer, items=items), order(f"e{day}", day, customer_id=other, currency="EUR")]
    return [
        *visit,
        *left,
        review,
        *orders,
        product("p1", day, stock_level=19 - number, category="shirts"),
        customer(other, day, name="Ann"),
    ]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Marts]:
    """Days in February and March, all marts up to date; then a late order and touch came, which the marts do not have yet."""
    worker = Worker(tmp_path_factory.mktemp("audits"))
    days = [f"2026-02-{n:02}" for n in range(20, 29)] + [f"2026-03-{n:02}" for n in range(1, 6)]
    worker.feed(*(message for number, day in enumerate(days) for message in _of(day, number)), close="2026-03-07")
    marts = Marts(worker)
    marts.refresh()
    worker.feed(order("late", "2026-03-02", customer_id="c9"), touch("c9", "2026-03-02", event_type="ad_click", cost_cents=3))
    yield marts
    worker.close()


def run(marts: Marts, table: str) -> list[AuditResult]:
    with marts.worker.store.cursor() as connection:
        return Auditor(marts.refresher).run(connection, table)


def audits(marts: Marts, table: str) -> list[Audit]:
    with marts.worker.store.cursor() as connection:
        return Auditor(marts.refresher).audits(connection, table)


def failing(marts: Marts, table: str) -> list[str]:
    return [result.audit for result in run(marts, table) if result.fails]


def tables(marts: Marts) -> list[str]:
    return Auditor(marts.refresher).tables


@contextmanager
def damaged(marts: Marts, table: str, fault: str) -> Iterator[None]:
    """The table, or a table in the place of the view, after something was done to it; as it was afterwards."""
    with marts.worker.store.cursor() as connection:
        kind = (
            "view"
            if connection.execute("select 1 from duckdb_views() where view_name = $1 and schema_name = 'main'", [table]).fetchall()
            else "table"
        )
        connection.execute(f"alter {kind} {table} rename to sound; create table {table} as from sound")
        try:
            connection.execute(fault)
            yield
        finally:
            connection.execute(f"drop table {table}; alter {kind} sound rename to {table}")


def test_sound_tables_pass_though_something_came_after_the_refresh(world: Marts) -> None:
    results = [result for table in tables(world) for result in run(world, table)]
    assert [result for result in results if result.state is not AuditState.PASSED] == []


def test_there_is_a_fault_for_every_audit(world: Marts) -> None:
    automatic = {"key is unique", "key is not null", "numbers are finite"}
    assert FAULTS.keys() == {(audit.table, audit.name) for table in tables(world) for audit in audits(world, table)} - {
        (table, name) for table in tables(world) for name in automatic
    }


@pytest.mark.parametrize(("table", "audit"), FAULTS)
def test_an_audit_finds_its_fault(world: Marts, table: str, audit: str) -> None:
    with damaged(world, table, FAULTS[table, audit]):
        assert audit in failing(world, table)


def test_a_key_that_is_there_twice_or_null_is_found_in_every_table(world: Marts) -> None:
    for table in tables(world):
        key_audits = {audit.name for audit in audits(world, table) if audit.is_key}
        assert key_audits
        with damaged(world, table, f"insert into {table} default values; insert into {table} from {table}"):
            assert key_audits <= set(failing(world, table)), table


def test_a_number_that_is_none_is_found_in_every_column(world: Marts) -> None:
    with world.worker.store.cursor() as connection:
        columns = connection.execute(
            "select table_name, column_name, data_type from duckdb_columns() where schema_name = 'main' and data_type like 'DOUBLE%'"
        ).fetchall()
    for number, (table, column, kind) in enumerate(columns):
        if table in tables(world):
            value = ("'nan'", "'inf'")[number % 2]
            with damaged(
                world, table, f"insert into {table} ({column}) values ({value if kind == 'DOUBLE' else f'[1, cast({value} as double)]'})"
            ):
                assert "numbers are finite" in failing(world, table), (table, column)
