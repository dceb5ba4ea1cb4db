"""Audits: each finds the fault that is planted for it, and is silent on sound data."""

import json
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest

from tests.support.commands import tidemark
from tests.support.marts import Marts, mart
from tests.support.messages import Produced
from tests.support.worker import Worker, customer, line, order, product, touch
from worker import cli
from worker.errors import ExitCode
from worker.marts.audits import Auditor, AuditResult, AuditState

pytestmark = pytest.mark.usefixtures("logging_as_it_was")


def _of(day: str, number: int) -> list[Produced]:
    """Two customers: one who is sent mail, looks and buys, one who leaves a cart behind; an order from abroad."""
    buyer, other = f"c{number % 3}", f"x{number % 4}"
    at = f"{day} 0"
    steps = ("ad_click", "page_view", "product_view", "cart_add", "checkout_start", "purchase")
    visit = [touch(buyer, f"{at}{n}:00", event_type=kind, product_id="p1", channel="paid", cost_cents=7) for n, kind in enumerate(steps)]
    left = [touch(other, f"{day} 12:0{n}", event_type=kind, product_id="p2") for n, kind in enumerate(("page_view", "cart_add", "review"))]
    items = [line(product_id="p1", category="shirts"), line(product_id="p2", category="hats", unit_cost_cents=300)]
    orders = [order(f"o{day}", f"{day} 06:30", customer_id=buyer, items=items), order(f"e{day}", day, customer_id=other, currency="EUR")]
    return [*visit, *left, *orders, product("p1", day, stock_level=9 - number, category="shirts"), customer(other, day, name="Ann")]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Marts]:
    """Days in February and March, all marts up to date; then a late order and touch came, which the marts do not have yet."""
    worker = Worker(tmp_path_factory.mktemp("audits"))
    days = [f"2026-02-{n:02}" for n in range(20, 29)] + [f"2026-03-{n:02}" for n in range(1, 6)]
    worker.feed(*(message for number, day in enumerate(days) for message in _of(day, number)), close="2026-03-07")
    marts = Marts(worker)
    marts.refresh()
    worker.feed(order("late", "2026-03-02", customer_id="c9"), touch("c9", "2026-03-02", event_type="ad_click"))
    yield marts
    worker.close()


def failing(marts: Marts, *tables: str) -> list[AuditResult]:
    auditor = Auditor(marts.refresher)
    with marts.worker.store.cursor() as connection:
        return [result for table in tables or auditor.tables for result in auditor.run(connection, table) if result.fails]


def test_sound_tables_pass(world: Marts) -> None:
    assert failing(world) == []


def test_every_key_is_audited(world: Marts) -> None:
    auditor = Auditor(world.refresher)
    with world.worker.store.cursor() as connection:
        ran = [result for table in auditor.tables for result in auditor.run(connection, table) if result.state is not AuditState.SKIPPED]
    assert {result.table for result in ran if result.is_key} == set(auditor.tables)
    assert {result.message for result in ran} == {""}
